"""Measures, rules and faults that several kinds have alike: battery, radio, silence."""

from typing import Final

from devices.kind import Fault, Measure
from domain.alert import Severity
from domain.ticket import TicketSort
from rules.kinds.stale import Stale
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.rule import Level, Rule

BATTERY_V: Final = Measure("battery_v", "Battery voltage", "电池电压", "V", 0.0, 30.0, rest=3.6, noise=0.01)
"""Up to 30 V: some wells carry a lead battery behind their lithium cells."""
BATTERY_PCT: Final = Measure("battery_pct", "Battery charge", "电池电量", "%", 0.0, 100.0, rest=95.0)
RSSI: Final = Measure("rssi_dbm", "Received signal strength", "信号强度", "dBm", -150.0, 20.0, rest=-95.0, noise=3.0)
SNR: Final = Measure("snr_db", "Signal-to-noise ratio", "信噪比", "dB", -40.0, 40.0, rest=7.0, noise=1.5)
TEMPERATURE: Final = Measure("temp_c", "Temperature", "温度", "°C", -60.0, 200.0, rest=20.0, swing=6.0, noise=0.3)

RADIO: Final = (RSSI, SNR)
BATTERY: Final = (BATTERY_V, BATTERY_PCT)

OFFLINE: Final = Fault("offline", "Device silent", "设备离线", silent=True, raises=("offline",))
"""``raises`` names the rule without its kind; :func:`faults_of` completes it."""
FLAT_BATTERY: Final = Fault(
    "flat_battery", "Battery flat", "电池电量低", values={"battery_v": 3.0, "battery_pct": 4.0}, raises=("battery",)
)


def offline_rule(kind: str, intervals: float = 3.0) -> Rule:
    """Nothing heard for ``intervals`` expected intervals: an order to the keeper, never a public case.

    Three intervals as default: one lost report is everyday, three in a row are not (trade practice).
    """
    return Rule(
        key=f"{kind}.offline",
        title="Device offline",
        title_zh="设备离线",
        condition=Stale(intervals=intervals, severity=Severity.MINOR),
        case_class="M-offline",
        sort=TicketSort.MAINTENANCE,
    )


def battery_rule(kind: str, *, warn_v: float = 3.3, critical_v: float = 3.1) -> Rule:
    """Lithium cell (3.6 V) running low: warn at 3.3 V, urgent at 3.1 V (trade practice, not a standard)."""
    return Rule(
        key=f"{kind}.battery",
        title="Battery low",
        title_zh="电池电量低",
        condition=Threshold(
            measure="battery_v",
            side=Side.BELOW,
            levels=(
                Level(Severity.NOTICE, limit=warn_v, clear=warn_v + 0.1),
                Level(Severity.MINOR, limit=critical_v, clear=warn_v + 0.1),
            ),
        ),
        case_class="M-battery",
        sort=TicketSort.MAINTENANCE,
        ticket_from=Severity.MINOR,
    )


def faults_of(kind: str, *faults: Fault) -> tuple[Fault, ...]:
    """Complete the rule names of shared faults (``offline`` → ``manhole.offline``)."""
    return tuple(
        Fault(
            fault.key,
            fault.title,
            fault.title_zh,
            fault.values,
            fault.silent,
            tuple(name if "." in name else f"{kind}.{name}" for name in fault.raises),
        )
        for fault in faults
    )
