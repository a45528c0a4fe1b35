"""What befalls litter bins."""

from typing import Final

from devices.kinds.bin import KIND
from simulators.faultbook.entry import HOUR_S, FaultEntry, fault_called, of_kind
from simulators.trouble import Effect

TABLE: Final = (
    of_kind(fault_called(KIND.faults, "filling"), ramp_s=2 * HOUR_S, lasts_s=(4 * HOUR_S, 8 * HOUR_S), clears=True),
    of_kind(
        fault_called(KIND.faults, "full"),
        ramp_s=1.5 * HOUR_S,
        lasts_s=(4 * HOUR_S, 10 * HOUR_S),
        clears=True,
        note="The round did not come; more was thrown in until it overflowed.",
    ),
    of_kind(fault_called(KIND.faults, "fire"), lasts_s=(0.5 * HOUR_S, 1.5 * HOUR_S), clears=True),
    of_kind(fault_called(KIND.faults, "tipped"), lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
    FaultEntry(
        "blinded",
        "Sensor blinded",
        "传感器被遮挡",
        Effect(values={"fill_pct": 100.0, "distance_mm": 30.0}),
        forbids={"bin.full": "Something lies on the sensor; the bin is not full."},
        needs="stuck",
        wants="bin.stuck",
        within_s=12 * HOUR_S,
        lasts_s=(6 * HOUR_S, 24 * HOUR_S),
        note="From one reading to the next full to the brim, and then not a millimetre more or less.",
    ),
)
"""Found by ``simulators.faultbook.catalogue``."""
