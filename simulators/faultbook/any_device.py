"""What befalls every device, whatever it measures: stuck, noisy, babbling, a wrong clock, a wrong unit."""

from math import inf
from typing import Final

from devices.kind import DeviceKind
from domain.reading import MeasureValue
from simulators.faultbook.entry import DAY_S, HOUR_S, FaultEntry
from simulators.trouble import Effect, Scene

_NOISIER: Final = 8.0
_MARGIN: Final = 0.1
"""Noise comes no closer to a rule's limit than a tenth of the way: a noisy sensor must not look like a tilted cover."""
_EIGHT_HOURS_S: Final = 8 * HOUR_S


def _freeze(values: dict[str, MeasureValue], scene: Scene) -> None:
    values.update(scene.healthy_then())


def _rattle(values: dict[str, MeasureValue], scene: Scene) -> None:
    """Make every noise louder, short of what a rule would take for something else."""
    for place, measure in enumerate(measure for measure in scene.kind.measures if measure.noise):
        value = values.get(measure.name)
        if value is None or measure.name.startswith("battery"):
            continue
        low, high = _quiet(scene.kind, measure.name)
        loud = value + _NOISIER * measure.noise * scene.noise[place % len(scene.noise)]
        low = measure.low if low == -inf else low + _MARGIN * abs(value - low)
        high = measure.high if high == inf else high - _MARGIN * abs(high - value)
        values[measure.name] = round(min(high, max(low, loud)), 2)


def _to_fahrenheit(values: dict[str, MeasureValue], scene: Scene) -> None:
    del scene
    if "temp_c" in values:
        values["temp_c"] = round(values["temp_c"] * 1.8 + 32.0, 1)


def _quiet(kind: DeviceKind, measure: str) -> tuple[float, float]:
    """Between which values no rule of the kind looks up."""
    low, high = -inf, inf
    for rule in kind.rules:
        within = rule.condition.quiet_within(measure) if measure in rule.condition.measures else None
        if within is not None:
            low, high = max(low, within[0]), min(high, within[1])
    return low, high


TABLE: Final = (
    FaultEntry(
        "stuck",
        "Sensor stuck",
        "数据不变",
        Effect(alter=_freeze, noticed=False),
        needs="stuck",
        wants="{kind}.stuck",
        within_s=2 * DAY_S,
        lasts_s=(1 * DAY_S, 3 * DAY_S),
        note="It reports on time, and never again anything new.",
    ),
    FaultEntry(
        "noisy",
        "Sensor noisy",
        "数据异常波动",
        Effect(alter=_rattle, noticed=False),
        forbids={"*": "The sensor rattles; what it measures is as it should be."},
        needs="window",
        wants="{kind}.noisy",
        within_s=2 * DAY_S,
        lasts_s=(6 * HOUR_S, 2 * DAY_S),
        note="Eight times as much noise as a healthy one has, and never across a limit.",
    ),
    FaultEntry(
        "clock_wrong",
        "Clock eight hours ahead",
        "设备时钟错误",
        Effect(clock_s=_EIGHT_HOURS_S, noticed=False),
        allows=("{kind}.offline",),
        needs="clock",
        wants="{kind}.clock",
        within_s=2 * DAY_S,
        lasts_s=(6 * HOUR_S, 2 * DAY_S),
        note="Local time sent as UTC: each message lies in the future.",
    ),
    FaultEntry(
        "babbling",
        "Device babbles",
        "设备频繁上报",
        Effect(every_s=20.0, noticed=False),
        forbids={"*": "It says too often that all is well."},
        needs="rate",
        wants="{kind}.babbling",
        within_s=2 * HOUR_S,
        lasts_s=(0.5 * HOUR_S, 2 * HOUR_S),
        seen=False,
        note="Three messages a minute, each of them right.",
    ),
    FaultEntry(
        "fahrenheit",
        "Firmware reports degrees Fahrenheit",
        "固件单位错误",
        Effect(alter=_to_fahrenheit, noticed=False),
        forbids={"*": "The unit is wrong since the update; nothing burns."},
        needs="rate",
        wants="{kind}.temperature_jump",
        within_s=2 * DAY_S,
        lasts_s=(6 * HOUR_S, 2 * DAY_S),
        note="A step that no weather makes, on all devices of one firmware at once.",
    ),
)
"""For every kind; found by ``simulators.faultbook.catalogue``."""
