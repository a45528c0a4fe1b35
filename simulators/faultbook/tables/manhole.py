"""What befalls covers and wells."""

from typing import Final

from devices.kinds.manhole import KIND
from simulators.faultbook.entry import HOUR_S, FaultEntry, fault_called, of_kind
from simulators.trouble import Effect

TABLE: Final = (
    of_kind(fault_called(KIND.faults, "opened"), lasts_s=(0.5 * HOUR_S, 4 * HOUR_S)),
    FaultEntry(
        "stolen",
        "Cover stolen",
        "井盖被盗",
        Effect(values={"lid_open": True, "tilt_deg": 96.0}, silent_after_s=10.0),
        raises=("manhole.open", "manhole.tilt", "manhole.offline"),
        on_change=True,
        lasts_s=(12 * HOUR_S, 36 * HOUR_S),
        note="The sensor cries out once and is carried off with the cover.",
    ),
    of_kind(fault_called(KIND.faults, "tilted"), lasts_s=(1 * HOUR_S, 8 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "flooded"), ramp_s=1200.0, lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "gas"), ramp_s=600.0, lasts_s=(1 * HOUR_S, 4 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "foul_air"), ramp_s=600.0, lasts_s=(1 * HOUR_S, 4 * HOUR_S)),
    FaultEntry(
        "shaken",
        "Lorries pass over the cover",
        "车辆碾压振动",
        Effect(values={"tilt_deg": 24.0}, pulse_s=(90.0, 1.6)),
        forbids={"manhole.tilt": "A lorry tilts a cover for less than two seconds; nothing is wrong with it."},
        on_change=True,
        seen=False,
        lasts_s=(0.5 * HOUR_S, 2 * HOUR_S),
        note="Each shake is told twice: when it begins and when the cover lies still.",
    ),
)
"""Found by ``simulators.faultbook.catalogue``."""
