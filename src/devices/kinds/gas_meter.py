"""gas_meter: a household gas meter (智能燃气表): consumption, valve, pressure and the alarms it raises itself."""

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
from domain.ticket import TicketSort
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.rule import Level, Rule

_KEY: Final = "gas_meter"

_MEASURES: Final = (
    Measure("volume_m3", "Meter reading", "累计用气量", "m³", 0.0, 10_000_000.0, rest=326.0),
    Measure("flow_m3h", "Flow", "瞬时流量", "m³/h", 0.0, 1000.0, rest=0.3, swing=0.2, noise=0.02),
    Measure("pressure_kpa", "Gas pressure (gauge)", "燃气压力", "kPa", 0.0, 1000.0, rest=2.0, swing=0.1, noise=0.02),
    Measure("valve_open", "Valve open", "阀门打开", "", boolean=True, rest=True),
    # Switch flags of real meters: leak cut-off (燃气漏气切断); moved, shaken or magnet near (移动, 磁干扰).
    Measure("leak_alarm", "Meter reports a leak", "漏气报警", "", boolean=True, rest=False),
    Measure("tamper", "Moved, opened or magnet near", "移动或磁干扰", "", boolean=True, rest=False),
    TEMPERATURE,
    *BATTERY,
    *RADIO,
)

_RULES: Final = (
    Rule(
        key="gas_meter.leak",
        title="Gas leak",
        title_zh="燃气泄漏",
        condition=Threshold(measure="leak_alarm", levels=(Level(Severity.CRITICAL, limit=1.0),)),
        case_class="E05-02",
    ),
    Rule(
        key="gas_meter.pressure_low",
        title="Gas pressure low",
        title_zh="燃气压力过低",
        # Nominal 2.0 kPa at the stove; 1.0 and 0.6 kPa are trade practice, no authoritative source was found.
        # The minute outlasts the dip when a boiler lights.
        condition=Threshold(
            measure="pressure_kpa",
            side=Side.BELOW,
            levels=(
                Level(Severity.MINOR, limit=1.0, clear=1.2, hold_s=60.0),
                Level(Severity.MAJOR, limit=0.6, clear=1.2, hold_s=60.0),
            ),
        ),
        # 05-02 covers the loss of supply (停气) beside the leak; one household's warning stays an alert.
        case_class="E05-02",
        ticket_from=Severity.MAJOR,
    ),
    Rule(
        key="gas_meter.tamper",
        title="Meter tampered with",
        title_zh="燃气表被移动或干扰",
        condition=Threshold(measure="tamper", levels=(Level(Severity.MINOR, limit=1.0),)),
        case_class="M-tamper",
        hushed_at_work=True,
        sort=TicketSort.MAINTENANCE,
    ),
    battery_rule(_KEY),
    offline_rule(_KEY),
)

_FAULTS: Final = faults_of(
    _KEY,
    # The meter shuts its own valve within ten seconds of a leak.
    Fault(
        "leak",
        "Gas leak, valve shut",
        "燃气漏气切断",
        values={"leak_alarm": True, "valve_open": False, "flow_m3h": 0.0},
        raises=("gas_meter.leak",),
    ),
    Fault(
        "low_pressure", "Pressure low", "燃气压力低", values={"pressure_kpa": 0.82}, raises=("gas_meter.pressure_low",)
    ),
    Fault(
        "no_gas",
        "Supply lost",
        "停气",
        values={"pressure_kpa": 0.12, "flow_m3h": 0.0},
        raises=("gas_meter.pressure_low",),
    ),
    Fault("tampered", "Moved or magnet near", "移动或磁干扰", values={"tamper": True}, raises=("gas_meter.tamper",)),
    FLAT_BATTERY,
    OFFLINE,
)

KIND: Final = DeviceKind(
    key=_KEY,
    title="Gas meter",
    title_zh="燃气表",
    measures=_MEASURES,
    interval_s=24 * 3600.0,
    rules=_RULES,
    faults=_FAULTS,
)
