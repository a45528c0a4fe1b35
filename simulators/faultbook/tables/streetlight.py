"""What befalls lamps and their feeders."""

from typing import Final

from devices.kinds.streetlight import KIND
from domain.reading import MeasureValue
from simulators.city import CIRCUIT
from simulators.faultbook.entry import DAY_S, HOUR_S, FaultEntry, fault_called, of_kind
from simulators.trouble import Effect, Scene

_FULL_W: Final = 118.0
_FULL_A: Final = 0.56


def _burn(values: dict[str, MeasureValue], scene: Scene) -> None:
    """Let the lamp burn whatever the sun says."""
    del scene
    if not values["lamp_on"]:
        values |= {"lamp_on": True, "dim_pct": 100.0, "power_w": _FULL_W, "current_a": _FULL_A}


def _fail(values: dict[str, MeasureValue], scene: Scene) -> None:
    """Let the lamp stay dark although it is switched on; the controller does not notice."""
    del scene
    if values["lamp_on"]:
        values |= {"power_w": 2.1, "current_a": 0.03}


TABLE: Final = (
    of_kind(
        fault_called(KIND.faults, "lamp_failed"),
        lasts_s=(6 * HOUR_S, 48 * HOUR_S),
        # It draws nothing, which by night is noticed by what it should draw, too.
        scheduled=("streetlight.off_at_night",),
    ),
    FaultEntry(
        "dark",
        "Lamp dark, unnoticed by its controller",
        "单灯不亮未上报",
        Effect(alter=_fail),
        scheduled=("streetlight.off_at_night",),
        lasts_s=(1 * DAY_S, 2 * DAY_S),
        note="Switched on and drawing no power: only who knows when a lamp should burn can tell.",
    ),
    FaultEntry(
        "on_by_day",
        "Lamp burns by day",
        "白天亮灯",
        Effect(alter=_burn),
        scheduled=("streetlight.on_by_day",),
        lasts_s=(1 * DAY_S, 2 * DAY_S),
        note="The contactor sticks; every single value is one that the lamp has at night.",
    ),
    FaultEntry(
        "feeder_dark",
        "Feeder dead: all its lamps are dark",
        "回路停电",
        Effect(silent_after_s=0.0, noticed=False),
        allows=("streetlight.offline", "site.silent"),
        needs="group",
        wants="streetlight.circuit_dark",
        within_s=2 * HOUR_S,
        lasts_s=(2 * HOUR_S, 6 * HOUR_S),
        scope=CIRCUIT,
        seen=False,
        note="One cable, not forty lamps: whoever raises forty alerts has not understood.",
    ),
    of_kind(fault_called(KIND.faults, "leaking"), lasts_s=(2 * HOUR_S, 12 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "undervoltage"), lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "overvoltage"), lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "overheated"), lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
)
"""Found by ``simulators.faultbook.catalogue``."""
