"""manhole: a cover (井盖) and the well below it: tilt, opening, water, gas."""

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
from rules.levels import Side
from rules.rule import Level, Rule

_KEY: Final = "manhole"

_MEASURES: Final = (
    Measure("tilt_deg", "Tilt of the cover", "倾斜角", "°", 0.0, 180.0, rest=1.0, swing=0.3, noise=0.2),
    Measure("lid_open", "Cover open", "井盖打开", "", boolean=True, rest=False),
    Measure("level_m", "Water level above the bottom", "水位", "m", 0.0, 30.0, rest=0.4, swing=0.1, noise=0.01),
    Measure("free_height_m", "Free height below the cover", "净空", "m", 0.0, 30.0, rest=2.0, swing=0.1, noise=0.01),
    Measure("ch4_pct_lel", "Methane", "甲烷", "%LEL", 0.0, 100.0, rest=0.5, noise=0.2),
    Measure("h2s_ppm", "Hydrogen sulphide", "硫化氢", "ppm", 0.0, 1000.0, rest=0.2, noise=0.1),
    Measure("co_ppm", "Carbon monoxide", "一氧化碳", "ppm", 0.0, 5000.0, rest=1.0, noise=0.3),
    Measure("o2_pct", "Oxygen", "氧气", "%VOL", 0.0, 30.0, rest=20.9, noise=0.05),
    TEMPERATURE,
    *BATTERY,
    *RADIO,
)

_RULES: Final = (
    Rule(
        key="manhole.tilt",
        title="Cover tilted",
        title_zh="井盖倾斜",
        # 15° for 30 s and 90° at once are what makers of cover sensors use; a passing lorry tilts for less than 2 s.
        condition=Threshold(
            measure="tilt_deg",
            levels=(
                Level(Severity.MAJOR, limit=15.0, clear=10.0, hold_s=30.0),
                Level(Severity.CRITICAL, limit=90.0, clear=10.0),
            ),
        ),
        case_class="0101-1",
        hushed_at_work=True,
    ),
    Rule(
        key="manhole.open",
        title="Cover open",
        title_zh="井盖打开",
        condition=Threshold(measure="lid_open", levels=(Level(Severity.CRITICAL, limit=1.0, hold_s=2.0),)),
        case_class="0101-1",
        hushed_at_work=True,
    ),
    Rule(
        key="manhole.overflow",
        title="Water near the cover",
        title_zh="井内水位过高",
        condition=Threshold(
            measure="free_height_m",
            side=Side.BELOW,
            levels=(
                Level(Severity.MINOR, limit=0.5, clear=0.7, hold_s=60.0),
                Level(Severity.MAJOR, limit=0.1, clear=0.3),
            ),
        ),
        case_class="E05-03",
        ticket_from=Severity.MAJOR,
    ),
    Rule(
        key="manhole.methane",
        title="Methane in the well",
        title_zh="井内甲烷超标",
        # Low and high alarm of GB/T 50493-2019 lie at or below 25 and 50 %LEL.
        condition=Threshold(
            measure="ch4_pct_lel",
            levels=(
                Level(Severity.MAJOR, limit=20.0, clear=15.0),
                Level(Severity.CRITICAL, limit=50.0, clear=40.0),
            ),
        ),
        case_class="E05-02",
        # The low alarm warns; only the high one is a public case.
        ticket_from=Severity.CRITICAL,
    ),
    # Bad air endangers whoever climbs in (作业风险): alerts without a case class. 6.6 ppm is the 10 mg/m³ and 24 ppm
    # the 30 mg/m³ of the occupational limits; 19.5 % is the usual bound of oxygen deficiency.
    Rule(
        key="manhole.h2s",
        title="Hydrogen sulphide in the well",
        title_zh="井内硫化氢超标",
        condition=Threshold(
            measure="h2s_ppm",
            levels=(
                Level(Severity.MINOR, limit=6.6, clear=5.0),
                Level(Severity.MAJOR, limit=20.0, clear=5.0),
            ),
        ),
    ),
    Rule(
        key="manhole.co",
        title="Carbon monoxide in the well",
        title_zh="井内一氧化碳超标",
        condition=Threshold(
            measure="co_ppm",
            levels=(
                Level(Severity.MINOR, limit=24.0, clear=18.0),
                Level(Severity.MAJOR, limit=160.0, clear=18.0),
            ),
        ),
    ),
    Rule(
        key="manhole.oxygen_low",
        title="Oxygen deficiency in the well",
        title_zh="井内缺氧",
        condition=Threshold(
            measure="o2_pct",
            side=Side.BELOW,
            levels=(Level(Severity.MINOR, limit=19.5, clear=20.0, hold_s=60.0),),
        ),
    ),
    battery_rule(_KEY),
    offline_rule(_KEY),
)

_FAULTS: Final = faults_of(
    _KEY,
    Fault(
        "opened",
        "Cover opened",
        "井盖被打开",
        values={"lid_open": True, "tilt_deg": 62.0},
        raises=("manhole.open", "manhole.tilt"),
    ),
    Fault("tilted", "Cover tilted", "井盖倾斜", values={"tilt_deg": 24.0}, raises=("manhole.tilt",)),
    Fault(
        "flooded",
        "Well flooded",
        "井内积水",
        values={"level_m": 2.4, "free_height_m": 0.05},
        raises=("manhole.overflow",),
    ),
    Fault("gas", "Methane below the cover", "井内可燃气体", values={"ch4_pct_lel": 61.0}, raises=("manhole.methane",)),
    Fault(
        "foul_air",
        "Bad air in the well",
        "井内有毒缺氧",
        values={"h2s_ppm": 31.0, "co_ppm": 40.0, "o2_pct": 17.8},
        raises=("manhole.h2s", "manhole.co", "manhole.oxygen_low"),
    ),
    FLAT_BATTERY,
    OFFLINE,
)

KIND: Final = DeviceKind(
    key=_KEY,
    title="Manhole cover",
    title_zh="井盖",
    measures=_MEASURES,
    interval_s=24 * 3600.0,
    rules=_RULES,
    faults=_FAULTS,
    component_class="0101",
)
