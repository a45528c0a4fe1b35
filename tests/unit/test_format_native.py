"""The native format: what it reads, what it refuses and why."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import Reason
from domain.reading import Reading
from ingest.format import IGNORED, Address, Decoded, DecodeError, Sender
from ingest.formats.native import FORMAT
from ingest.timestamps import EPOCH

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
TOPIC = "city/v1/510104/manhole/mh-0001"
SENDER = Sender("mh-0001", "manhole", "510104", "mh-0001")
TELEMETRY = Address("native", "mh-0001", "telemetry", "manhole", "510104")
EVENT = TELEMETRY._replace(leaf="event")
STATUS = TELEMETRY._replace(leaf="status")

FIELDS = ("ts", "seq", "values", "class", "status", "evidence", "position", "device", "kind")

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
readings = st.builds(
    Reading,
    device_id=st.just(1),
    at=st.integers(31_536_000_000_000, 7_258_118_400_000_000).map(
        lambda micros: EPOCH + timedelta(microseconds=micros)
    ),
    received_at=st.just(NOW),
    values=st.dictionaries(
        st.sampled_from(["tilt_deg", "battery_v", "lid_open", "pressure_kpa"]),
        st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        min_size=1,
    ),
    flags=st.just({}),
    digest=st.just(0),
    body=st.just(b""),
    seq=st.none() | st.integers(0, 2**63 - 1),
    extra=st.none(),
)


def decode(body: object, address: Address = TELEMETRY) -> Decoded:
    return FORMAT.decode(address, body if isinstance(body, bytes) else orjson.dumps(body), NOW)


def refusal(body: object, address: Address = TELEMETRY) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(body, address)
    return caught.value


def test_a_topic_tells_district_kind_device_and_leaf() -> None:
    assert FORMAT.read_topic(f"{TOPIC}/telemetry") == TELEMETRY


@pytest.mark.parametrize(
    "topic",
    [
        "city/v2/510104/manhole/mh-1/telemetry",
        "city/v1/5101/manhole/mh-1/telemetry",
        "city/v1/510104/Manhole/mh-1/telemetry",
        "city/v1/510104/manhole/mh 1/telemetry",
        f"city/v1/510104/manhole/{'x' * 65}/telemetry",
        "city/v1/510104/manhole/mh-1/weather",
        "city/v1/510104/manhole/mh-1/telemetry/",
        "city/v1/510104/manhole/mh-1/telemetry\n",
        "/city/v1/510104/manhole/mh-1/telemetry",
    ],
)
def test_any_other_topic_is_not_native(topic: str) -> None:
    assert FORMAT.read_topic(topic) is None


def test_our_own_heartbeat_passes_by() -> None:
    address = FORMAT.read_topic(FORMAT.heartbeat_topic("streetwarden-ingest-1"))
    assert address is not None
    assert decode(b"anything", address) is IGNORED


@pytest.mark.parametrize("leaf", ["command", "reply"])
def test_commands_and_replies_pass_by(leaf: str) -> None:
    assert decode(b"{", TELEMETRY._replace(leaf=leaf)) is IGNORED


def test_one_reading_is_read() -> None:
    (sample,) = decode({"ts": 1795334400123, "seq": 7, "values": {"tilt_deg": 1.5, "note": "x", "gap": None}}).samples
    assert sample.alias == "mh-0001"
    assert sample.at == datetime(2026, 11, 22, 8, 0, 0, 123_000, tzinfo=UTC)
    assert sample.values == {"tilt_deg": 1.5, "note": "x", "gap": None}
    assert sample.seq == 7


def test_a_history_is_read_in_its_order() -> None:
    samples = decode([{"ts": 1795334460, "values": {"a": 1}}, {"ts": 1795334400, "values": {"a": 2}}]).samples
    assert [sample.values["a"] for sample in samples] == [1, 2]


@pytest.mark.parametrize("body", [{"values": {"a": 1}}, {"ts": None, "seq": None, "values": {"a": 1}}])
def test_a_message_without_time_has_none(body: object) -> None:
    (sample,) = decode(body).samples
    assert (sample.at, sample.seq) == (None, None)


@pytest.mark.parametrize(
    "ts",
    [
        1795334400000,
        1795334400000.0,
        1795334400,
        1795334400.0,
        "2026-11-22T08:00:00Z",
        "2026-11-22t08:00:00z",
        "2026-11-22T16:00:00+08:00",
        "2026-11-22T08:00:00.000000999Z",
        "2026-11-22T08:00:00.000000000+00:00",
    ],
)
def test_every_way_to_write_one_moment_means_it(ts: object) -> None:
    (sample,) = decode({"ts": ts, "values": {"a": 1}}).samples
    assert sample.at == NOW
    assert sample.at is not None
    assert sample.at.tzinfo is UTC


@pytest.mark.parametrize(
    "ts",
    [
        "2026-11-22T16:00:00",
        "2026-11-22",
        "yesterday",
        "",
        "1795334400000",
        "2026-11-22T08:00:60Z",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-08:00",
        5.01,
        0,
        -1,
        10**11,
        1795334400000000,
        1e300,
        True,
        [1795334400000],
    ],
)
def test_a_time_that_may_mean_another_is_refused(ts: object) -> None:
    assert refusal({"ts": ts, "values": {"a": 1}}).reason is Reason.BAD_TIME


def test_a_time_without_offset_is_refused_with_the_remedy() -> None:
    assert "+08:00" in refusal({"ts": "2026-11-22T16:00:00", "values": {"a": 1}}).detail


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b'{"values":{"a":NaN}}', Reason.NOT_JSON),
        (b'{"values":{"a":-Infinity}}', Reason.NOT_JSON),
        (b'{"values":{"a":1e999}}', Reason.NOT_JSON),
        (b'{"values":{"a":"\\ud800"}}', Reason.NOT_JSON),
        (b'\xef\xbb\xbf{"values":{"a":1}}', Reason.NOT_JSON),
        (b'{"values":{"a":"\xff"}}', Reason.NOT_UTF8),
        (b"\x00\xff", Reason.NOT_UTF8),
        (b"[" * 60_000, Reason.TOO_DEEP),
        (b'{"a":' * 5_000, Reason.TOO_DEEP),
        (b"[" * 1_500 + b"]" * 1_500, Reason.TOO_DEEP),
        (b"[" * 20 + b"]" * 20, Reason.TOO_DEEP),
        (b'{"values":{"a":' + b"[" * 900 + b"]" * 900 + b"}}", Reason.TOO_DEEP),
        (b"[[]]", Reason.WRONG_SHAPE),
        (b"[]", Reason.WRONG_SHAPE),
        (b"{}", Reason.WRONG_SHAPE),
        (b"7", Reason.WRONG_SHAPE),
        (b'{"values":{}}', Reason.WRONG_SHAPE),
        (b'{"values":[1]}', Reason.WRONG_SHAPE),
        (b'{"values":{"a":{"b":1}}}', Reason.WRONG_SHAPE),
        (b'{"values":{"a":[1]}}', Reason.WRONG_SHAPE),
        (b'{"seq":-1,"values":{"a":1}}', Reason.WRONG_SHAPE),
        (b'{"seq":1.5,"values":{"a":1}}', Reason.WRONG_SHAPE),
        (b'{"seq":1e300,"values":{"a":1}}', Reason.WRONG_SHAPE),
        (b'{"seq":true,"values":{"a":1}}', Reason.WRONG_SHAPE),
        (b'{"device":"mh-0002","values":{"a":1}}', Reason.WRONG_IDENTITY),
        (b'{"device":null,"values":{"a":1}}', Reason.WRONG_IDENTITY),
        (b'{"kind":"bin","values":{"a":1}}', Reason.WRONG_IDENTITY),
        (b'{"district":510104,"values":{"a":1}}', Reason.WRONG_IDENTITY),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else repr(value)[:40],
)
def test_what_cannot_be_read_has_a_stable_reason(payload: bytes, reason: Reason) -> None:
    assert refusal(payload).reason is reason


def test_a_body_may_repeat_its_own_identity() -> None:
    assert decode({"device": "mh-0001", "kind": "manhole", "district": "510104", "values": {"a": 1}}).samples


def test_of_equal_keys_the_last_counts() -> None:
    assert decode(b'{"values":{"a":1,"a":2}}').samples[0].values == {"a": 2}


def test_one_bad_entry_sets_the_whole_history_aside_and_is_named() -> None:
    error = refusal([{"values": {"a": 1}}, {"ts": "noon", "values": {"a": 1}}])
    assert error.reason is Reason.BAD_TIME
    assert error.detail.startswith("entry 1: ")


def test_an_error_sentence_never_repeats_a_whole_payload() -> None:
    assert len(refusal({"ts": "x" * 60_000, "values": {"a": 1}}).detail) < 250


@pytest.mark.parametrize(
    ("payload", "online"),
    [(b"online", True), (b" offline\n", False), (b'{"status":"online"}', True), (b'{"status":"offline"}', False)],
)
def test_a_status_is_read(payload: bytes, online: bool) -> None:
    status = decode(payload, STATUS).status
    assert status is not None
    assert (status.alias, status.online) == ("mh-0001", online)


@pytest.mark.parametrize("payload", [b'"online"', b'{"status":"asleep"}', b'{"status":["online"]}', b"[]"])
def test_another_status_is_refused(payload: bytes) -> None:
    assert refusal(payload, STATUS).reason is Reason.WRONG_SHAPE


def test_clearing_a_retained_status_says_nothing() -> None:
    assert decode(b"", STATUS) is IGNORED


def test_an_event_keeps_all_it_tells() -> None:
    body = {
        "ts": 1795334400000,
        "class": "door_opened",
        "values": {"count": 2},
        "evidence": ["https://example.org/1.jpg"],
        "position": {"longitude": 104.06, "latitude": 30.67},
        "note": "unknown keys are kept",
    }
    (event,) = decode(body, EVENT).events
    assert (event.alias, event.at, event.event_class) == ("mh-0001", NOW, "door_opened")
    assert orjson.loads(event.body) == body


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"class": ""}, Reason.WRONG_SHAPE),
        ({"class": 7}, Reason.WRONG_SHAPE),
        ({"class": "a b"}, Reason.WRONG_SHAPE),
        ({"values": [1]}, Reason.WRONG_SHAPE),
        ({"values": {"a": []}}, Reason.WRONG_SHAPE),
        ({"evidence": "https://example.org"}, Reason.WRONG_SHAPE),
        ({"evidence": ["javascript:alert(1)"]}, Reason.WRONG_SHAPE),
        ({"evidence": ["https://example.org"] * 17}, Reason.WRONG_SHAPE),
        ({"position": None}, Reason.WRONG_SHAPE),
        ({"position": {"longitude": 181, "latitude": 0}}, Reason.WRONG_SHAPE),
        ({"position": {"longitude": True, "latitude": 0}}, Reason.WRONG_SHAPE),
        ({"position": {"longitude": 1}}, Reason.WRONG_SHAPE),
        ({"ts": "noon"}, Reason.BAD_TIME),
        ({"device": "other"}, Reason.WRONG_IDENTITY),
    ],
)
def test_a_wrong_event_is_refused(change: dict[str, Any], reason: Reason) -> None:
    assert refusal({"class": "door_opened", **change}, EVENT).reason is reason


def test_an_event_that_nests_too_deep_for_its_own_copy_is_refused() -> None:
    payload = b'{"class":"x","deep":' + b"[" * 300 + b"]" * 300 + b"}"
    assert refusal(payload, EVENT).reason is Reason.TOO_DEEP


@given(sent=st.lists(readings, min_size=1, max_size=4))
def test_what_is_encoded_is_decoded(sent: list[Reading]) -> None:
    topic, payload = FORMAT.encode(SENDER, sent)
    address = FORMAT.read_topic(topic)
    assert address is not None
    samples = FORMAT.decode(address, payload, NOW + timedelta(days=1)).samples
    assert [(s.alias, s.at, s.values, s.seq) for s in samples] == [("mh-0001", r.at, r.values, r.seq) for r in sent]


@given(payload=st.binary(), address=st.sampled_from([TELEMETRY, EVENT, STATUS]))
def test_any_bytes_are_read_or_refused(payload: bytes, address: Address) -> None:
    _read_or_refuse(payload, address)


@given(body=json_values, address=st.sampled_from([TELEMETRY, EVENT, STATUS]))
def test_any_json_is_read_or_refused(body: object, address: Address) -> None:
    _read_or_refuse(orjson.dumps(body), address)


@given(
    body=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(FIELDS, json_values),
    ),
    address=st.sampled_from([TELEMETRY, EVENT, STATUS]),
)
def test_any_json_under_known_names_is_read_or_refused(body: dict[str, object], address: Address) -> None:
    _read_or_refuse(orjson.dumps(body), address)


def _read_or_refuse(payload: bytes, address: Address) -> None:
    with suppress(DecodeError):
        assert isinstance(FORMAT.decode(address, payload, NOW), Decoded)
