"""SenML: packs resolved as RFC 8428 says, names cut into device and field, units turned into ours."""

import json
import math
import string
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
from ingest.format import IGNORED, Decoded, DecodeError, Sample, Sender
from ingest.formats.senml import FORMAT, identify
from ingest.senml_pack import MAX_TEXT, resolve
from ingest.senml_units import in_unit_of
from ingest.timestamps import EPOCH

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)
NOW_S = NOW.timestamp()
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "senml.json"
needs_corpus = pytest.mark.skipif(not CORPUS.is_file(), reason=f"no RFC 8428 vectors at {CORPUS}")

VECTORS: list[dict[str, Any]] = json.loads(CORPUS.read_bytes()) if CORPUS.is_file() else []
GOOD = [vector for vector in VECTORS if "pack" in vector and not vector["expect_error"]]
BAD = [vector for vector in VECTORS if "pack" in vector and vector["expect_error"]]

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
names = st.text(string.ascii_letters + "0123456789-:./_", max_size=6)
records = st.fixed_dictionaries(
    {},
    optional={
        "bn": names,
        "n": names | json_values,
        "bt": numbers | json_values,
        "t": numbers,
        "bu": st.sampled_from(["Cel", "V", "x"]),
        "u": st.sampled_from(["Pa", "rad", "m3/s", ""]) | json_values,
        "bv": numbers,
        "v": numbers | json_values,
        "bs": numbers,
        "s": numbers,
        "vb": st.booleans() | json_values,
        "vs": st.text() | json_values,
        "vd": st.text(),
        "bver": st.sampled_from([5, 10]) | json_values,
        "ut": numbers,
        "note_": st.just(1),
    },
)
readings = st.builds(
    Reading,
    device_id=st.just(1),
    at=st.integers(10**15, 4 * 10**15).map(lambda us: EPOCH + timedelta(microseconds=us)),
    received_at=st.just(NOW),
    values=st.dictionaries(
        st.sampled_from(["tilt_deg", "battery_pct", "lid_open", "pressure_kpa", "volume_m3", "ch4_pct_lel"]),
        st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        min_size=1,
    ),
    flags=st.just({}),
    digest=st.just(0),
    body=st.just(b""),
    seq=st.none(),
    extra=st.none(),
)


def decode(pack: object) -> Decoded:
    address = FORMAT.read_topic("senml/anything/at/all")
    assert address is not None
    return FORMAT.decode(address, pack if isinstance(pack, bytes) else orjson.dumps(pack), NOW)


def only(pack: object) -> Sample:
    (sample,) = decode(pack).samples
    return sample


def refusal(pack: object) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(pack)
    return caught.value


@needs_corpus
@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["id"])
def test_packs_resolve_as_the_standard_says(vector: dict[str, Any]) -> None:
    expected: list[dict[str, Any]] = vector.get("expected_strict") or vector["expected_resolved"]
    resolved = resolve(vector["pack"], vector["now"])
    assert len(resolved) == len(expected)
    for ours, theirs in zip(resolved, expected, strict=True):
        assert ours == {key: pytest.approx(value) if key in "vst" else value for key, value in theirs.items()}


@needs_corpus
@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["id"])
def test_every_good_pack_gives_samples(vector: dict[str, Any]) -> None:
    assert decode(vector["pack"]).samples


@needs_corpus
@pytest.mark.parametrize("vector", BAD, ids=lambda vector: vector["id"])
def test_packs_that_break_the_standard_are_refused(vector: dict[str, Any]) -> None:
    assert refusal(vector["pack"]).reason is Reason.WRONG_SHAPE


@pytest.mark.parametrize("topic", ["senml", "senml/a", "senml/a/b/c", "senml/heartbeats/x"])
def test_everything_below_senml_is_a_pack(topic: str) -> None:
    address = FORMAT.read_topic(topic)
    assert address is not None
    assert (address.source, address.alias, address.leaf) == ("senml", None, "pack")


@pytest.mark.parametrize("topic", ["senmlx/a", "/senml/a", "", "a/senml"])
def test_any_other_topic_is_not_senml(topic: str) -> None:
    assert FORMAT.read_topic(topic) is None


def test_our_own_heartbeat_passes_by() -> None:
    address = FORMAT.read_topic(FORMAT.heartbeat_topic("streetwarden-ingest-1"))
    assert address is not None
    assert FORMAT.decode(address, b"anything", NOW) is IGNORED


@pytest.mark.parametrize(
    ("base", "local", "device", "field"),
    [
        ("urn:dev:ow:10e2073a01080063:", "voltage", "urn:dev:ow:10e2073a01080063", "voltage"),
        ("", "urn:dev:ow:10e2073a01080063:voltage", "urn:dev:ow:10e2073a01080063", "voltage"),
        ("", "urn:dev:ow:10e2073a01080063", "urn:dev:ow:10e2073a01080063", ""),
        ("urn:dev:mac:0024befffe804ff1_lid:", "tilt_deg", "urn:dev:mac:0024befffe804ff1", "lid.tilt_deg"),
        ("urn:dev:os:32473-", "123456/level_m", "urn:dev:os:32473-123456", "level_m"),
        ("mh-7/", "tilt_deg", "mh-7", "tilt_deg"),
        ("mh-7:", "tilt_deg", "mh-7", "tilt_deg"),
        ("mh-7", "", "mh-7", ""),
        ("", "site/mh-7:tilt_deg", "site/mh-7", "tilt_deg"),
        ("", "2001:db8::3", "2001:db8", "3"),
        ("", "tilt_deg", "tilt_deg", ""),
    ],
)
def test_a_name_is_cut_into_device_and_field(base: str, local: str, device: str, field: str) -> None:
    assert identify(base, local) == (device, field)


def test_records_of_one_device_at_one_time_are_one_sample() -> None:
    pack = [{"bn": "a:", "bt": NOW_S, "n": "tilt_deg", "v": 2}, {"n": "lid_open", "vb": True}, {"n": "note", "vs": "x"}]
    assert only(pack) == Sample("a", NOW, {"tilt_deg": 2, "lid_open": True, "note": "x"})


def test_devices_and_times_of_one_pack_are_apart() -> None:
    pack = [
        {"bn": "a:", "bt": NOW_S, "n": "temp_c", "v": 1},
        {"n": "temp_c", "t": -60, "v": 2},
        {"bn": "b:", "n": "temp_c", "v": 3},
    ]
    assert {(s.alias, s.at, s.values["temp_c"]) for s in decode(pack).samples} == {
        ("a", NOW, 1),
        ("a", NOW - timedelta(seconds=60), 2),
        ("b", NOW, 3),
    }


def test_a_field_told_twice_for_one_moment_is_two_samples() -> None:
    pack = [{"bn": "a:", "n": "temp_c", "v": 1}, {"n": "temp_c", "v": 2}]
    assert [sample.values for sample in decode(pack).samples] == [{"temp_c": 1}, {"temp_c": 2}]


@pytest.mark.parametrize("fields", [{}, {"t": 0}, {"bt": 0}, {"bt": 10, "t": -10}])
def test_a_record_of_now_has_no_time_of_its_own(fields: dict[str, float]) -> None:
    assert only([{"n": "a:x", "v": 1, **fields}]).at is None


def test_small_times_are_relative_to_the_receipt() -> None:
    assert only([{"n": "a:x", "t": -1.5, "v": 1}]).at == NOW - timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("unit", "value", "field", "expected"),
    [
        ("Cel", 21.5, "temp_c", 21.5),
        ("K", 294.65, "temp_c", 21.5),
        ("V", 220, "volt_v", 220),
        ("A", 0.5, "current_a", 0.5),
        ("W", 118, "power_w", 118),
        ("m", 1.5, "level_m", 1.5),
        ("Pa", 2000, "pressure_kpa", 2.0),
        ("m3", 326, "volume_m3", 326),
        ("m3/s", 0.001, "flow_m3h", 3.6),
        ("J", 3.6e6, "energy_kwh", 1.0),
        ("%EL", 80, "battery_pct", 80),
        ("deg", 12, "tilt_deg", 12),
        ("rad", math.pi / 2, "tilt_deg", 90.0),
        ("dBm", -90, "rssi_dbm", -90),
        ("%RH", 45, "%RH", 45),
        (None, 45, "value", 45),
    ],
)
def test_a_value_without_a_name_is_named_by_its_unit(
    unit: str | None, value: float, field: str, expected: float
) -> None:
    record = {"n": "urn:dev:ow:1", "v": value} | ({} if unit is None else {"u": unit})
    assert only([record]).values == {field: pytest.approx(expected)}


@pytest.mark.parametrize(
    ("field", "unit", "value", "expected"),
    [
        ("distance_mm", "m", 1.25, {"distance_mm": 1250.0}),
        ("tilt_deg", "rad", math.pi, {"tilt_deg": 180.0}),
        ("leak_ma", "A", 0.03, {"leak_ma": 30.0}),
        ("fill_pct", "/", 0.8, {"fill_pct": 80.0}),
        ("battery_v", "mV", 3600, {"battery_v": 3.6}),
        ("humidity", "%RH", 45, {"humidity": 45}),
        ("tilt_deg", "Pa", 5, {"tilt_deg(Pa)": 5}),
    ],
)
def test_a_value_is_turned_into_the_unit_that_its_name_tells(
    field: str, unit: str, value: float, expected: dict[str, float]
) -> None:
    assert only([{"bn": "a:", "n": field, "u": unit, "v": value}]).values == {
        name: pytest.approx(number) for name, number in expected.items()
    }


def test_sums_are_values_of_their_own() -> None:
    pack = [{"bn": "m:", "bs": 1000, "n": "volume_m3", "u": "m3", "s": 1.5}]
    assert only(pack).values == {"volume_m3": 1001.5}
    both = [{"bn": "m:", "n": "flow_m3h", "v": 0.2, "s": 7}]
    assert only(both).values == {"flow_m3h": 0.2, "flow_m3h.sum": 7}


@pytest.mark.parametrize(
    "pack",
    [
        [7],
        [{"n": "a:x", "v": "7"}],
        [{"n": "a:x", "v": True}],
        [{"n": "a:x", "vb": 1}],
        [{"n": "a:x", "vs": 1}],
        [{"n": 7, "v": 1}],
        [{"n": "_x", "v": 1}],
        [{"n": "a:x"}],
        [{"bver": "10", "n": "a:x", "v": 1}],
        [{"bver": 0, "n": "a:x", "v": 1}],
        [{"n": "a" * (MAX_TEXT + 1), "v": 1}],
        [{"n": "a:x", "u": "m" * (MAX_TEXT + 1), "v": 1}],
    ],
)
def test_a_wrong_pack_is_refused(pack: object) -> None:
    assert refusal(pack).reason is Reason.WRONG_SHAPE


def test_the_record_at_fault_is_named() -> None:
    assert refusal([{"n": "a:x", "v": 1}, {"n": "a:y"}]).detail.startswith("record 1: ")


def test_an_impossible_time_is_refused() -> None:
    assert refusal([{"n": "a:x", "t": 1e300, "v": 1}]).reason is Reason.BAD_TIME


def test_no_sum_and_no_conversion_becomes_infinite() -> None:
    assert refusal([{"n": "a:x", "bv": 1e308, "v": 1e308}]).reason is Reason.WRONG_SHAPE
    assert in_unit_of("flow_m3h", "m3/s", 1e308) == ("flow_m3h(m3/s)", 1e308)


def test_long_base_names_do_not_multiply() -> None:
    pack = [{"bn": "b" * MAX_TEXT, "n": "x", "v": 0}, *({"n": "x", "v": 0} for _ in range(3000))]
    assert sum(len(sample.alias) for sample in decode(pack).samples) < 10**6


def test_an_alias_that_would_be_read_back_as_another_device_is_not_encoded() -> None:
    reading = Reading(1, NOW, NOW, {"temp_c": 1.0}, {}, 0, b"", None, None)
    with pytest.raises(ValueError, match="another device"):
        FORMAT.encode(Sender("a.", "bin", "440305", "a."), [reading])


@given(
    sent=st.lists(readings, min_size=1, max_size=4, unique_by=lambda reading: reading.at),
    alias=st.sampled_from(["urn:dev:ow:10e2073a01080063", "urn:dev:os:32473-12", "BIN-0001", "a.b_c"]),
)
def test_what_is_encoded_is_decoded(sent: list[Reading], alias: str) -> None:
    topic, payload = FORMAT.encode(Sender("bin-1", "bin", "440305", alias), sent)
    address = FORMAT.read_topic(topic)
    assert address is not None
    samples = FORMAT.decode(address, payload, NOW).samples
    assert [(s.alias, s.at, s.values) for s in samples] == [(alias, r.at, r.values) for r in sent]


@given(payload=st.binary())
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    _read_or_refuse(payload)


@given(pack=json_values | st.lists(records | json_values, max_size=4))
def test_any_json_is_read_or_refused(pack: object) -> None:
    _read_or_refuse(orjson.dumps(pack))


def _read_or_refuse(payload: bytes) -> None:
    with suppress(DecodeError):
        for sample in decode(payload).samples:
            assert sample.alias
            assert not any(isinstance(value, float) and not math.isfinite(value) for value in sample.values.values())
