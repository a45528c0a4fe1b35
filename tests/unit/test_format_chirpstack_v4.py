"""ChirpStack 4: uplinks and statuses are read, siblings pass by, every real capture ends with its true reason."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import Reason
from domain.reading import Reading
from ingest.catalogue import load_formats
from ingest.format import IGNORED, Address, Decoded, DecodeError, Sample, Sender
from ingest.formats.chirpstack_v4 import FORMAT, MAX_FIELDS, MAX_PATH
from ingest.timestamps import EPOCH

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)
EUI = "0004a30b001c0530"
UP = Address("chirpstack_v4", EUI, "up")
STATUS = Address("chirpstack_v4", EUI, "status")

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "envelopes.json"
needs_corpus = pytest.mark.skipif(not CORPUS.is_file(), reason=f"no captured envelopes at {CORPUS}")
ENVELOPES: list[dict[str, Any]] = json.loads(CORPUS.read_bytes()) if CORPUS.is_file() else []
CAPTURES: dict[str, dict[str, Any]] = {envelope["id"]: envelope for envelope in ENVELOPES}

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
receptions = st.fixed_dictionaries({}, optional=dict.fromkeys(("rssi", "snr", "nsTime", "gwTime", "time"), json_values))
events = st.fixed_dictionaries(
    {"deviceInfo": st.just({"devEui": EUI}) | json_values},
    optional={
        "time": st.sampled_from(["2026-11-22T16:00:00.123456789+00:00", "", "now", 7]) | json_values,
        "object": st.dictionaries(st.text(), json_values) | json_values,
        "data": st.text() | json_values,
        "fCnt": st.integers(-1, 2**33) | json_values,
        "rxInfo": st.lists(receptions, max_size=3) | json_values,
        "batteryLevel": json_values,
    },
)
readings = st.builds(
    Reading,
    device_id=st.just(1),
    at=st.integers(0, 4 * 10**15).map(lambda us: EPOCH + timedelta(microseconds=us)),
    received_at=st.just(NOW),
    values=st.dictionaries(
        st.sampled_from(["tilt_deg", "battery_v", "lid_open", "rssi_dbm", "snr_db"]),
        st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        min_size=1,
    ),
    flags=st.just({}),
    digest=st.just(0),
    body=st.just(b"{}"),
    seq=st.integers(0, 2**32 - 1),
    extra=st.none(),
)


def uplink(**fields: object) -> dict[str, object]:
    return {
        "time": "2026-11-22T16:00:00.123456789+00:00",
        "deviceInfo": {"devEui": EUI},
        "fCnt": 7,
        "object": {"tilt_deg": 2.0},
        **fields,
    }


def decode(body: object, address: Address = UP) -> Decoded:
    return FORMAT.decode(address, body if isinstance(body, bytes) else orjson.dumps(body), NOW)


def only(body: object, address: Address = UP) -> Sample:
    (sample,) = decode(body, address).samples
    return sample


def refusal(body: object, address: Address = UP) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(body, address)
    return caught.value


def test_a_topic_tells_the_device_in_lower_case_and_the_event() -> None:
    assert FORMAT.read_topic(f"application/any/device/{EUI.upper()}/event/up") == UP


@pytest.mark.parametrize(
    "topic",
    [
        f"application/any/device/{EUI}/event/rx",
        f"application/any/device/{EUI[:-1]}/event/up",
        f"application/any/device/{EUI}/command/down",
        f"application/a/b/device/{EUI}/event/up",
        "application/any/device/{devEUI hex}/event/up",
        f"application/any/device/{EUI}/event/up\n",
    ],
)
def test_any_other_topic_is_not_of_chirpstack_4(topic: str) -> None:
    assert FORMAT.read_topic(topic) is None


def test_our_own_heartbeat_passes_by() -> None:
    address = FORMAT.read_topic(FORMAT.heartbeat_topic("streetwarden-ingest-1"))
    assert address is not None
    assert decode(b"anything", address) is IGNORED


@pytest.mark.parametrize("leaf", ["join", "ack", "txack", "log", "location", "integration"])
def test_siblings_of_an_uplink_pass_by_unread(leaf: str) -> None:
    address = FORMAT.read_topic(f"application/any/device/{EUI}/event/{leaf}")
    assert address is not None
    assert decode(b"{", address) is IGNORED


def test_an_uplink_is_read() -> None:
    sample = only(uplink(rxInfo=[{"rssi": -97, "snr": 6.5}]))
    assert sample == Sample(
        EUI,
        datetime(2026, 11, 22, 16, 0, 0, 123456, tzinfo=UTC),
        {"tilt_deg": 2.0, "rssi_dbm": -97, "snr_db": 6.5},
        7,
    )


def test_a_counter_that_older_builds_leave_out_is_zero() -> None:
    body = uplink()
    del body["fCnt"]
    assert only(body).seq == 0


def test_nested_values_are_named_by_their_path() -> None:
    values = only(uplink(object={"lid": {"tilt": 3, "open": False}, "probes": [{"ppm": 1}, 2], "none": {}})).values
    assert values == {"lid.tilt": 3, "lid.open": False, "probes.0.ppm": 1, "probes.1": 2}


def test_strength_and_quality_are_of_the_gateway_that_heard_best() -> None:
    heard = [{"rssi": -110, "snr": 9.0}, {"rssi": -80, "snr": -2.5}, {"gatewayId": "x"}, {"rssi": "loud"}]
    values = only(uplink(rxInfo=heard)).values
    assert (values["rssi_dbm"], values["snr_db"]) == (-80, -2.5)


def test_a_device_that_measures_its_own_signal_is_believed() -> None:
    assert only(uplink(object={"rssi_dbm": -60}, rxInfo=[{"rssi": -97, "snr": 1}])).values["rssi_dbm"] == -60


@pytest.mark.parametrize(
    ("reception", "at"),
    [
        (
            {"nsTime": "2026-11-22T15:59:00Z", "gwTime": "2026-11-22T15:58:00Z"},
            datetime(2026, 11, 22, 15, 59, tzinfo=UTC),
        ),
        ({"gwTime": "2026-11-22T15:58:00Z"}, datetime(2026, 11, 22, 15, 58, tzinfo=UTC)),
        ({"time": "2026-11-22T15:57:00+00:00"}, datetime(2026, 11, 22, 15, 57, tzinfo=UTC)),
        ({"time": None}, None),
        ({}, None),
    ],
)
def test_without_a_time_the_reception_tells_it(reception: dict[str, object], at: datetime | None) -> None:
    body = uplink(rxInfo=[reception])
    del body["time"]
    assert only(body).at == at


def test_a_frame_that_no_codec_has_decoded_is_named() -> None:
    body = uplink(data="AKwA", fPort=2)
    del body["object"]
    assert refusal(body).reason is Reason.UNDECODED_FRAME
    assert refusal({**body, "object": {}}).reason is Reason.UNDECODED_FRAME
    assert "codec" in refusal(body).detail


def test_an_empty_frame_still_tells_how_it_was_heard() -> None:
    body = uplink(rxInfo=[{"rssi": -97}])
    del body["object"]
    assert only(body).values == {"rssi_dbm": -97, "snr_db": 0.0}
    assert decode({**body, "rxInfo": []}) is IGNORED


def test_a_body_of_another_device_is_refused() -> None:
    error = refusal(uplink(deviceInfo={"devEui": "ffffffffffffffff"}))
    assert error.reason is Reason.WRONG_IDENTITY
    assert EUI in error.detail
    assert only(uplink(deviceInfo={"devEui": EUI.upper()})).alias == EUI


@pytest.mark.parametrize("body", [{"devEUI": EUI, "object": {}}, {"devEUI": "AASjCwAcBTA=", "objectJSON": "{}"}])
def test_a_version_3_payload_is_called_so(body: dict[str, object]) -> None:
    error = refusal(body)
    assert error.reason is Reason.WRONG_SHAPE
    assert "ChirpStack 3" in error.detail


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"object": "text"}, Reason.WRONG_SHAPE),
        ({"object": [1]}, Reason.WRONG_SHAPE),
        ({"rxInfo": [1]}, Reason.WRONG_SHAPE),
        ({"rxInfo": "gateway"}, Reason.WRONG_SHAPE),
        ({"fCnt": "7"}, Reason.WRONG_SHAPE),
        ({"fCnt": 2**32}, Reason.WRONG_SHAPE),
        ({"fCnt": True}, Reason.WRONG_SHAPE),
        ({"time": "2026-11-22T16:00:00"}, Reason.BAD_TIME),
        ({"deviceInfo": {}}, Reason.WRONG_SHAPE),
        ({"deviceInfo": None}, Reason.WRONG_SHAPE),
        ({"deviceInfo": {"devEui": 7}}, Reason.WRONG_SHAPE),
    ],
)
def test_a_wrong_uplink_is_refused(change: dict[str, object], reason: Reason) -> None:
    assert refusal(uplink(**change)).reason is reason


def test_values_that_nest_too_deep_are_refused() -> None:
    deep: object = 1
    for _ in range(20):
        deep = {"a": deep}
    assert refusal(uplink(object=deep)).reason is Reason.TOO_DEEP


def test_a_long_key_above_a_long_list_does_not_multiply() -> None:
    assert refusal(uplink(object={"k" * 30_000: [0] * 15_000})).reason is Reason.WRONG_SHAPE
    assert refusal(uplink(object={"k": [0] * (MAX_FIELDS + 1)})).reason is Reason.WRONG_SHAPE
    assert only(uplink(object={"k" * MAX_PATH: 1})).values == {"k" * MAX_PATH: 1}


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"batteryLevel": 73.62205}, {"battery_pct": 73.62205}),
        ({"batteryLevel": 0.0}, {"battery_pct": 0.0}),
        ({"batteryLevel": 0, "batteryLevelUnavailable": True}, None),
        ({"batteryLevel": 0, "externalPowerSource": True}, None),
        ({"margin": 5}, None),
    ],
)
def test_a_device_status_tells_the_battery_if_it_knows(
    fields: dict[str, object], values: dict[str, object] | None
) -> None:
    decoded = decode({"deviceInfo": {"devEui": EUI}, "time": "2026-11-22T16:00:00Z", **fields}, STATUS)
    assert decoded == (IGNORED if values is None else Decoded((Sample(EUI, NOW, values),)))


def test_a_battery_level_that_is_no_number_is_refused() -> None:
    body = {"deviceInfo": {"devEui": EUI}, "batteryLevel": "full"}
    assert refusal(body, STATUS).reason is Reason.WRONG_SHAPE


def topic_of(envelope: dict[str, Any], event: str = "up") -> str:
    """The body's own device on a real topic, where the capture did not record one."""
    eui: str = envelope["payload"].get("deviceInfo", {}).get("devEui") or envelope["payload"].get("devEUI", EUI)
    if len(eui) != 16:
        eui = base64.b64decode(eui).hex()
    return f"application/captured/device/{eui}/event/{event}"


def read(topic: str, body: object) -> Decoded:
    address = FORMAT.read_topic(topic)
    assert address is not None
    return decode(body, address)


@needs_corpus
@pytest.mark.parametrize(
    ("capture", "at", "seq", "values"),
    [
        (
            "cs4-2023-em300di-up",
            datetime(2023, 7, 28, 4, 10, 22, tzinfo=UTC),
            967,
            {"humidity": 49.0, "temperature": 18.6, "gpio": 1.0, "battery": 84.0, "rssi_dbm": -86, "snr_db": 13.2},
        ),
        (
            "cs4-2025-parking",
            datetime(2025, 9, 15, 13, 54, 21, 918705, tzinfo=UTC),
            6,
            {"distance_cm": 172.0, "state": "FREE", "rssi_dbm": -95, "snr_db": 9.2},
        ),
        (
            "cs4-2026-fcnt0-emitted",
            datetime(2026, 8, 27, 14, 39, 44, 530852, tzinfo=UTC),
            0,
            {"BatV": 3.297, "TempC_SHT": 24.73, "Node_type": "LHT65N", "rssi_dbm": -102, "snr_db": -12},
        ),
    ],
)
def test_a_real_uplink_is_read(capture: str, at: datetime, seq: int, values: dict[str, object]) -> None:
    envelope = CAPTURES[capture]
    (sample,) = read(topic_of(envelope), envelope["payload"]).samples
    assert (sample.at, sample.seq) == (at, seq)
    assert values.items() <= sample.values.items()


@needs_corpus
def test_a_real_device_status_is_read() -> None:
    envelope = CAPTURES["cs4-2023-status"]
    (sample,) = read(topic_of(envelope, "status"), envelope["payload"]).samples
    assert sample.values == {"battery_pct": 73.62205}


@needs_corpus
@pytest.mark.parametrize(("capture", "event"), [("cs4-2023-log", "log"), ("cs4-2023-join", "join")])
def test_a_real_sibling_passes_by(capture: str, event: str) -> None:
    assert read(topic_of(CAPTURES[capture], event), CAPTURES[capture]["payload"]) is IGNORED


@needs_corpus
@pytest.mark.parametrize("capture", ["cs4-2023-em300di-up", "cs4-2026-fcnt0-emitted", "cs4-2025-parking"])
def test_on_its_recorded_topic_a_capture_with_a_replaced_identifier_has_the_wrong_identity(capture: str) -> None:
    envelope = CAPTURES[capture]
    address = FORMAT.read_topic(envelope["topic"])
    assert address is not None
    if address.alias == envelope["payload"]["deviceInfo"]["devEui"]:
        assert decode(envelope["payload"], address).samples
    else:
        assert refusal(envelope["payload"], address).reason is Reason.WRONG_IDENTITY


@needs_corpus
@pytest.mark.parametrize(
    "capture", ["cs3-protojson-streetlight-status", "cs3-protojson-meter-usage", "cs3-jsonv3-wmbus"]
)
def test_real_version_3_captures_are_called_so(capture: str) -> None:
    envelope = CAPTURES[capture]
    address = FORMAT.read_topic(topic_of(envelope))
    assert address is not None
    error = refusal(envelope["payload"], address)
    assert (error.reason, "ChirpStack 3" in error.detail) == (Reason.WRONG_SHAPE, True)


@needs_corpus
@pytest.mark.parametrize("envelope", ENVELOPES, ids=lambda envelope: envelope["id"])
def test_every_capture_is_read_or_refused_on_whatever_topic(envelope: dict[str, Any]) -> None:
    topics = [
        envelope["topic"],
        "city/v1/440305/bin/B-1/telemetry",
        "city/v1/440305/bin/B-1/event",
        "city/v1/440305/bin/B-1/status",
        "senml/x",
        *(topic_of(CAPTURES["cs4-2025-parking"], event) for event in ("up", "status", "log")),
    ]
    for source in load_formats().values():
        for topic in topics:
            address = source.read_topic(topic)
            if address is not None:
                with suppress(DecodeError):
                    source.decode(address, orjson.dumps(envelope["payload"]), NOW)


@given(reading=readings)
def test_what_is_encoded_is_decoded(reading: Reading) -> None:
    topic, payload = FORMAT.encode(Sender("B-1", "bin", "440305", EUI), [reading])
    address = FORMAT.read_topic(topic)
    assert address is not None
    assert FORMAT.decode(address, payload, NOW).samples == (Sample(EUI, reading.at, dict(reading.values), reading.seq),)


def test_an_uplink_carries_one_reading() -> None:
    with pytest.raises(ValueError, match="one reading"):
        FORMAT.encode(Sender("B-1", "bin", "440305", EUI), [])


@given(payload=st.binary(), address=st.sampled_from([UP, STATUS]))
def test_any_bytes_are_read_or_refused(payload: bytes, address: Address) -> None:
    with suppress(DecodeError):
        decode(payload, address)


@given(body=events | json_values, address=st.sampled_from([UP, STATUS]))
def test_any_json_is_read_or_refused(body: object, address: Address) -> None:
    with suppress(DecodeError):
        decode(body, address)
