"""What befalls gas meters and the supply behind them."""

from typing import Final

from devices.kinds.gas_meter import KIND
from domain.reading import MeasureValue
from simulators.faultbook.entry import DAY_S, HOUR_S, FaultEntry, fault_called, of_kind
from simulators.trouble import Effect, Scene

_BACK_M3_A_DAY: Final = 0.8


def _run_back(values: dict[str, MeasureValue], scene: Scene) -> None:
    """Turn the dial back from where it stood."""
    then = scene.healthy_then()["volume_m3"]
    days = (scene.at_ms - scene.begins_ms) / 1000.0 / DAY_S
    values["volume_m3"] = round(max(0.0, then - _BACK_M3_A_DAY * days), 3)


TABLE: Final = (
    of_kind(fault_called(KIND.faults, "leak"), lasts_s=(0.5 * HOUR_S, 3 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "low_pressure"), lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "no_gas"), lasts_s=(1 * HOUR_S, 6 * HOUR_S)),
    of_kind(fault_called(KIND.faults, "tampered"), lasts_s=(1 * HOUR_S, 24 * HOUR_S)),
    FaultEntry(
        "runs_back",
        "Meter runs back",
        "表具倒转",
        Effect(alter=_run_back),
        needs="counter",
        wants="gas_meter.runs_back",
        within_s=3 * DAY_S,
        lasts_s=(2 * DAY_S, 4 * DAY_S),
        note="Fitted the wrong way round for some days: each value is possible, only their order is not.",
    ),
)
"""Found by ``simulators.faultbook.catalogue``."""
