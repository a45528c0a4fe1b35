"""streetlight: a lamp controller (单灯控制器) on a mast: supply, leakage, what the lamp does; fed by the mains."""

from typing import Final

from devices.battery_radio import OFFLINE, RADIO, faults_of, offline_rule
from devices.kind import DeviceKind, Fault, Measure
from domain.alert import Severity
from domain.ticket import TicketSort
from rules.kinds.expected import Expected, Wrong
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.rule import Level, Rule

_KEY: Final = "streetlight"

_TWO_REPORTS_S: Final = 25 * 60.0
"""Longer than one reading speaks for."""

_MEASURES: Final = (
    Measure("volt_v", "Supply voltage", "电压", "V", 0.0, 500.0, rest=220.0, swing=4.0, noise=0.8),
    Measure("current_a", "Current", "电流", "A", 0.0, 100.0, rest=0.54, swing=0.02, noise=0.005),
    Measure("power_w", "Active power", "有功功率", "W", 0.0, 5000.0, rest=118.0, swing=3.0, noise=0.8),
    # Controllers and smart breakers report up to 1 A; more is another device's fault.
    Measure("leak_ma", "Leakage current", "漏电流", "mA", 0.0, 5000.0, rest=2.0, swing=0.5, noise=0.3),
    Measure("lamp_on", "Lamp switched on", "亮灯", "", boolean=True, rest=True),
    Measure("lamp_failure", "Controller reports lamp failure", "灯具故障", "", boolean=True, rest=False),
    Measure("dim_pct", "Dimming level", "调光", "%", 0.0, 100.0, rest=80.0),
    Measure("energy_kwh", "Energy counter", "电能", "kWh", 0.0, 10_000_000.0, rest=1480.0),
    # The controller sits in the lamp head or the mast door: warmer than the air.
    Measure("temp_c", "Controller temperature", "温度", "°C", -60.0, 200.0, rest=34.0, swing=8.0, noise=0.4),
    *RADIO,
)

_RULES: Final = (
    Rule(
        key="streetlight.voltage_low",
        title="Supply voltage low",
        title_zh="供电欠压",
        # 198 V is 220 V - 10 % (CJJ 45, GB/T 12325); below 220 V - 20 % controllers themselves stop working.
        condition=Threshold(
            measure="volt_v",
            side=Side.BELOW,
            levels=(
                Level(Severity.MINOR, limit=198.0, clear=203.0, hold_s=60.0),
                Level(Severity.MAJOR, limit=176.0, clear=203.0, hold_s=60.0),
            ),
        ),
        case_class="M-supply",
        sort=TicketSort.MAINTENANCE,
        ticket_from=Severity.MAJOR,
    ),
    Rule(
        key="streetlight.voltage_high",
        title="Supply voltage high",
        title_zh="供电过压",
        # 235 V is 220 V + 7 % (GB/T 12325); above 220 V + 20 % controllers themselves are in danger.
        condition=Threshold(
            measure="volt_v",
            levels=(
                Level(Severity.MINOR, limit=235.0, clear=231.0, hold_s=60.0),
                Level(Severity.MAJOR, limit=264.0, clear=231.0, hold_s=60.0),
            ),
        ),
        case_class="M-supply",
        sort=TicketSort.MAINTENANCE,
        ticket_from=Severity.MAJOR,
    ),
    Rule(
        key="streetlight.leakage",
        title="Leakage current",
        title_zh="灯杆漏电",
        # 30 mA protects a person, 100 mA is the usual trip level of TT lamp circuits (trade practice).
        condition=Threshold(
            measure="leak_ma",
            levels=(
                Level(Severity.MAJOR, limit=30.0, clear=20.0),
                Level(Severity.CRITICAL, limit=100.0, clear=20.0),
            ),
        ),
        # No national condition for leakage was seen: a local urgent one, numbered down from 99 as cities do.
        case_class="0137-99",
    ),
    Rule(
        key="streetlight.lamp_failure",
        title="Lamp dark",
        title_zh="单盏不亮",
        # The minute lets a discharge lamp strike again after a dip of the supply.
        condition=Threshold(measure="lamp_failure", levels=(Level(Severity.MINOR, limit=1.0, hold_s=60.0),)),
        case_class="0137-3",
    ),
    Rule(
        key="streetlight.overheat",
        title="Controller overheats",
        title_zh="控制器过热",
        # 80 °C is the set point that smart breakers ship with.
        condition=Threshold(measure="temp_c", levels=(Level(Severity.MINOR, limit=80.0, clear=70.0, hold_s=30.0),)),
        case_class="M-overheat",
        sort=TicketSort.MAINTENANCE,
    ),
    # What sun and schedule expect. The holds outlast a reading's validity (22.5 minutes), so that two readings must say
    # so: "N = 2" is the usual lamp test. 5 W: a lamp that is off draws less (trade practice).
    Rule(
        key="streetlight.off_at_night",
        title="Lamp dark at night",
        title_zh="该亮不亮",
        condition=Expected(wrong=Wrong.DARK, measure="lamp_on", hold_s=_TWO_REPORTS_S),
        # 单盏不亮, as when the controller itself reports it: both alerts share one ticket.
        case_class="0137-3",
    ),
    Rule(
        key="streetlight.on_by_day",
        title="Lamp burns by day",
        title_zh="白日亮灯",
        condition=Expected(wrong=Wrong.BURNING, measure="lamp_on", hold_s=_TWO_REPORTS_S),
        # Wrongly switched is a case of its own, to be put right within hours; its national number was not seen, so a
        # local one, numbered down from 99 as cities do.
        case_class="0137-97",
    ),
    Rule(
        key="streetlight.dimmed_wrong",
        title="Lamp not dimmed as scheduled",
        title_zh="半夜灯失调",
        condition=Expected(
            wrong=Wrong.DIMMED, measure="dim_pct", severity=Severity.NOTICE, hold_s=_TWO_REPORTS_S, off_by_pct=10.0
        ),
        # Too bright wastes energy, too dim is still light: an order to the keeper, no public case.
        case_class="M-dimming",
        sort=TicketSort.MAINTENANCE,
    ),
    # An hour of silence; a lamp reports every quarter of an hour.
    offline_rule(_KEY, intervals=4.0),
)

_FAULTS: Final = faults_of(
    _KEY,
    Fault(
        "lamp_failed",
        "Lamp dark although switched on",
        "单盏不亮",
        values={"lamp_failure": True, "power_w": 2.1, "current_a": 0.03},
        raises=("streetlight.lamp_failure",),
    ),
    Fault("leaking", "Mast under voltage", "灯杆漏电", values={"leak_ma": 132.0}, raises=("streetlight.leakage",)),
    Fault(
        "undervoltage",
        "Supply voltage low",
        "供电欠压",
        values={"volt_v": 171.0},
        raises=("streetlight.voltage_low",),
    ),
    Fault(
        "overvoltage",
        "Supply voltage high",
        "供电过压",
        values={"volt_v": 247.0},
        raises=("streetlight.voltage_high",),
    ),
    Fault("overheated", "Controller too hot", "控制器过热", values={"temp_c": 93.0}, raises=("streetlight.overheat",)),
    OFFLINE,
)

KIND: Final = DeviceKind(
    key=_KEY,
    title="Streetlight",
    title_zh="路灯",
    measures=_MEASURES,
    interval_s=15 * 60.0,
    rules=_RULES,
    faults=_FAULTS,
    component_class="0137",
)
