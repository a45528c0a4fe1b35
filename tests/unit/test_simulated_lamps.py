"""Simulated lamps under a lighting schedule: healthy ones raise nothing, and each fault of the book its rule."""

from datetime import timedelta

import pytest

from devices.catalogue import load_kinds
from domain.alert import Step, Transition
from domain.coverage import Coverage
from domain.instants import EPOCH
from domain.reading import MeasureValue, Reading
from ingest.catalogue import load_formats
from rules.engine import Hearing, judge, next_hold_due, tick
from rules.lighting import read_schedule
from rules.plan import make_plan
from rules.surroundings import Surroundings
from rules.tracks import Tracks
from simulators.city import build_city
from simulators.faultbook.catalogue import load_faultbook
from simulators.sensor import Sensor, man_city
from simulators.trouble import Effect, Scene, Trouble
from simulators.weather import FAIR

KINDS = load_kinds()
BOOK = load_faultbook(KINDS.values())
LAMPS = [
    sensor
    for sensor in man_city(build_city(300, list(KINDS.values()), seed=11), KINDS, load_formats()["native"], run_seed=1)
    if sensor.kind.key == "streetlight"
]
HOUR_MS = 3_600_000
START_MS = 1_780_848_000_000
"""2026-06-08 00:00 in Beijing."""


def raised(lamp: Sensor, hours: int) -> set[str]:
    """The rules that open an alert on a lamp, under the schedule that its own feeder keeps."""
    at_two = lamp.healthy(START_MS + 2 * HOUR_MS, FAIR)["dim_pct"]
    seasons = [
        {
            "from": "01-01",
            "on": "sunset",
            "off": "sunrise",
            "dim": [{"from": "23:30", "pct": float(at_two)}, {"from": "05:00", "pct": 100}],
        }
    ]
    entry = lamp.entry
    assert entry.longitude is not None
    assert entry.latitude is not None
    place = Surroundings.near(entry.longitude, entry.latitude, "Asia/Shanghai", read_schedule("feeder", seasons))
    kind = lamp.kind
    plan = make_plan(kind.rules, interval_s=900, validity_factor=kind.validity_factor, overrides={}, surroundings=place)
    tracks, opened, heard = Tracks(), set[str](), None
    at_ms, end_ms = START_MS, START_MS + hours * HOUR_MS
    while (at_ms := lamp.next_report(at_ms)) < end_ms:
        now = EPOCH + timedelta(milliseconds=at_ms)
        steps = list[Transition]()
        while (due := next_hold_due(plan, tracks)) is not None and due < now:
            steps += tick(plan, tracks, 1, due, Hearing(heard, None))
        reading = Reading(1, now, now, lamp.measure(at_ms, FAIR), {}, at_ms, b"", None, None)
        steps += judge(plan, tracks, reading, Hearing(heard, Coverage(now, now)))
        opened |= {step.rule for step in steps if step.step is Step.OPENED}
        heard = now
    return opened


def test_a_healthy_lamp_keeps_to_the_sun_and_to_its_schedule() -> None:
    assert len(LAMPS) > 50
    assert [lamp.entry.name for lamp in LAMPS[::6] if raised(lamp, 72)] == []


def stay_bright(values: dict[str, MeasureValue], scene: Scene) -> None:
    """Its controller was replaced, and never told the steps of the night."""
    del scene
    if values["lamp_on"]:
        values["dim_pct"] = 100.0


@pytest.mark.parametrize(
    ("effect", "rules"),
    [
        *(
            (BOOK[name].entry.effect, BOOK[name].entry.scheduled)
            for name in ("streetlight.dark", "streetlight.on_by_day")
        ),
        (Effect(alter=stay_bright), ("streetlight.dimmed_wrong",)),
    ],
)
def test_a_fault_raises_the_rule_that_it_names_and_no_other(effect: Effect, rules: tuple[str, ...]) -> None:
    assert rules
    lamps = [lamp for lamp in LAMPS if lamp.healthy(START_MS + 2 * HOUR_MS, FAIR)["dim_pct"] <= 80][:8]
    assert lamps
    for lamp in lamps:
        lamp.suffer([Trouble(effect, START_MS, START_MS + 48 * HOUR_MS)])
        assert raised(lamp, 48) == set(rules)
        lamp.suffer([])
