"""bin: a litter bin (垃圾箱, 果皮箱): how full it is, whether it burns, whether it lies on its side."""

from typing import Final

from devices.battery_radio import (
    BATTERY,
    FLAT_BATTERY,
    OFFLINE,
    RADIO,
    TEMPERATURE,
    battery_rule,
    faults_of,
    offline_rule,
)
from devices.kind import DeviceKind, Fault, Measure
from domain.alert import Severity
from rules.kinds.threshold import Threshold
from rules.rule import Level, Rule

_KEY: Final = "bin"

_MEASURES: Final = (
    Measure("fill_pct", "Fill level", "满溢度", "%", 0.0, 100.0, rest=15.0, swing=10.0, noise=0.9),
    # Ultrasonic sensors in the lid of a 240 L bin (about 1 m deep) see between 30 mm and 4.5 m.
    Measure("distance_mm", "Distance to the rubbish", "空高", "mm", 0.0, 4500.0, rest=850.0, swing=100.0, noise=9.0),
    Measure("tilt_deg", "Tilt of the bin", "倾斜角", "°", 0.0, 180.0, rest=2.0, swing=0.5, noise=0.3),
    Measure("lid_open", "Lid or door open", "箱门打开", "", boolean=True, rest=False),
    TEMPERATURE,
    *BATTERY,
    *RADIO,
)

_RULES: Final = (
    Rule(
        key="bin.full",
        title="Bin full",
        title_zh="垃圾满溢",
        # Trade practice: a round is planned at 80 %. Only below 30 % was it emptied, not just pressed down.
        condition=Threshold(
            measure="fill_pct",
            levels=(
                Level(Severity.MINOR, limit=80.0, clear=30.0),
                Level(Severity.MAJOR, limit=90.0, clear=30.0),
            ),
        ),
        case_class="E01-92",
        ticket_from=Severity.MAJOR,
    ),
    Rule(
        key="bin.fire",
        title="Bin on fire",
        title_zh="垃圾箱起火",
        # No authoritative source: 60 °C lies above what the sun makes of a closed metal bin (trade practice).
        condition=Threshold(measure="temp_c", levels=(Level(Severity.CRITICAL, limit=60.0, clear=50.0),)),
        case_class="E05-95",
    ),
    Rule(
        key="bin.tilt",
        title="Bin tipped over",
        title_zh="箱体倾斜、倾倒",
        # The case standard names no angle: 45° for 60 s is inferred; emptying tips a bin for less than that.
        condition=Threshold(measure="tilt_deg", levels=(Level(Severity.MINOR, limit=45.0, clear=30.0, hold_s=60.0),)),
        case_class="0305-1",
        hushed_at_work=True,
    ),
    battery_rule(_KEY),
    offline_rule(_KEY, intervals=6.0),
)

_FAULTS: Final = faults_of(
    _KEY,
    Fault("filling", "Nearly full", "将满", values={"fill_pct": 84.0, "distance_mm": 160.0}, raises=("bin.full",)),
    Fault("full", "Overflowing", "垃圾满溢", values={"fill_pct": 97.0, "distance_mm": 40.0}, raises=("bin.full",)),
    Fault("fire", "On fire", "起火", values={"temp_c": 118.0}, raises=("bin.fire",)),
    Fault("tipped", "Tipped over", "倾倒", values={"tilt_deg": 84.0, "lid_open": True}, raises=("bin.tilt",)),
    FLAT_BATTERY,
    OFFLINE,
)

KIND: Final = DeviceKind(
    key=_KEY,
    title="Litter bin",
    title_zh="垃圾箱",
    measures=_MEASURES,
    interval_s=3600.0,
    rules=_RULES,
    faults=_FAULTS,
    component_class="0305",
)
