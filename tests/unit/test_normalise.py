"""Normalise: units' limits, canonical values, times believed or not, and the digest that makes identity."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import load_kinds
from domain.device import Device
from domain.ledger import Reason
from domain.reading import TIME, Flag, Reading
from ingest.format import DecodeError, Sample
from ingest.normalise import TimeBounds, limits_of, normalise

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BOUNDS = TimeBounds(future=timedelta(seconds=300), past=timedelta(days=400))
MANHOLE = limits_of(load_kinds()["manhole"])
DEVICE = Device(1, "DC-1", "manhole", "511703")


def make(values: dict[str, object], at: datetime | None = NOW, device: Device = DEVICE) -> Reading:
    return normalise(device, MANHOLE, Sample("DC-1", at, values, 5), NOW, BOUNDS)


def test_a_value_outside_its_physical_limits_is_stored_and_flagged() -> None:
    made = make({"tilt_deg": 400, "battery_v": 3.6})
    assert made.values == {"tilt_deg": 400.0, "battery_v": 3.6}
    assert made.flags == {"tilt_deg": Flag.OUT_OF_RANGE.value}


@pytest.mark.parametrize("wrong", ["1.2", None, True, [1], {"v": 1}])
def test_a_value_of_a_wrong_type_is_kept_among_the_unknown(wrong: object) -> None:
    made = make({"tilt_deg": wrong, "battery_v": 3.6})
    assert made.values == {"battery_v": 3.6}
    assert made.flags == {"tilt_deg": Flag.WRONG_TYPE.value}
    assert made.extra == {"tilt_deg": wrong}


@pytest.mark.parametrize(("sent", "meant"), [(True, True), (1, True), (0.0, False), (1.0, True)])
def test_a_boolean_may_come_as_a_number(sent: object, meant: bool) -> None:
    assert make({"lid_open": sent}).values["lid_open"] is meant


def test_a_boolean_of_two_is_none() -> None:
    with pytest.raises(DecodeError) as caught:
        make({"lid_open": 2})
    assert caught.value.reason is Reason.NO_KNOWN_MEASURE


def test_unknown_values_are_counted_not_lost() -> None:
    assert make({"tilt_deg": 1, "colour": "red"}).extra == {"colour": "red"}


def test_a_devices_field_map_speaks_for_its_vendor() -> None:
    device = Device(1, "DC-1", "manhole", "511703", fields={"angle": "tilt_deg"})
    assert make({"angle": 3}, device=device).values == {"tilt_deg": 3.0}


def test_a_message_of_many_unknown_fields_is_told_in_a_bounded_sentence() -> None:
    with pytest.raises(DecodeError) as caught:
        make({f"field_{n}": n for n in range(5000)})
    assert len(caught.value.detail) < 2000


def test_the_same_measures_have_the_same_digest_however_they_are_written() -> None:
    one = make({"tilt_deg": 84, "battery_v": 0.0})
    assert one.digest == make({"battery_v": -0.0, "tilt_deg": 84.0}).digest
    assert one.digest != make({"tilt_deg": 84.5, "battery_v": 0.0}).digest


def test_no_time_is_the_received_time_and_flagged() -> None:
    made = make({"tilt_deg": 1}, at=None)
    assert made.at == NOW
    assert made.flags == {TIME: Flag.NO_TIME.value}


def test_a_clock_a_little_ahead_is_clamped_and_flagged() -> None:
    made = make({"tilt_deg": 1}, at=NOW + timedelta(seconds=300))
    assert made.at == NOW
    assert made.flags == {TIME: Flag.CLOCK_AHEAD.value}


@pytest.mark.parametrize(
    ("off", "reason"),
    [
        (timedelta(seconds=301), Reason.IN_FUTURE),
        (timedelta(hours=8), Reason.IN_FUTURE),
        (-timedelta(days=401), Reason.TOO_OLD),
    ],
)
def test_a_time_beyond_the_bounds_is_not_believed(off: timedelta, reason: Reason) -> None:
    with pytest.raises(DecodeError) as caught:
        make({"tilt_deg": 1}, at=NOW + off)
    assert caught.value.reason is reason


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text())


@given(st.dictionaries(st.one_of(st.sampled_from(sorted(MANHOLE)), st.text()), SCALARS, min_size=1))
def test_whatever_a_format_hands_over_becomes_a_reading_or_a_reason(values: dict[str, object]) -> None:
    reason: Reason | None = None
    made: Reading | None = None
    try:
        made = make(values)
    except DecodeError as error:
        reason = error.reason
    if made is None:
        assert reason is Reason.NO_KNOWN_MEASURE
        return
    assert set(made.values) <= set(MANHOLE)
    assert -(2**63) <= made.digest < 2**63
    assert len(made.values) + len(made.extra or {}) == len(values)
