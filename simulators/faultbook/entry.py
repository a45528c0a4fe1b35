"""One line of the fault book."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from devices.kind import Fault
from simulators.trouble import Effect

DEVICE: Final = "device"
"""It happens to one device."""
CITY: Final = "city"
"""It happens to all devices at once."""

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """What can go wrong, and what that means for alerts. Limits and holds stand in the rules alone."""

    key: str
    """For example ``opened``; with its kind before it, ``manhole.opened``."""
    title: str
    title_zh: str
    effect: Effect
    raises: tuple[str, ...] = ()
    """Rules that exist and must fire, if the fault lasts long enough to be seen."""
    allows: tuple[str, ...] = ()
    """Rules that may fire; ``{kind}`` stands for the device's kind."""
    scheduled: tuple[str, ...] = ()
    """Rules that fire where a lighting schedule is in force. A run sets none: nobody is praised or blamed for them."""
    forbids: Mapping[str, str] = field(default_factory=dict[str, str])
    """Rule → one sentence why it must not fire; ``*``: every rule of the kind that is not named otherwise."""
    needs: str | None = None
    """Rule kind by which a rule could tell that is no default yet."""
    wants: str | None = None
    """The rule that would fire then; ``{kind}`` as above."""
    within_s: float = HOUR_S
    """How soon it would have to."""
    lasts_s: tuple[float, float] = (2 * HOUR_S, 8 * HOUR_S)
    """Between these, unless a scenario says otherwise."""
    scope: str = DEVICE
    """``device``, ``city``, or a sort of group: ``circuit``, ``gateway`` …"""
    on_change: bool = False
    """Only a device that reports on change can show it."""
    seen: bool = True
    """It lasts until it could be seen, however seldom the device reports."""
    clears: bool = False
    """Who puts it right also empties the bin: the device starts anew."""
    note: str = ""


def of_kind(
    fault: Fault,
    *,
    ramp_s: float = 0.0,
    lasts_s: tuple[float, float] = (2 * HOUR_S, 8 * HOUR_S),
    clears: bool = False,
    allows: tuple[str, ...] = (),
    scheduled: tuple[str, ...] = (),
    note: str = "",
) -> FaultEntry:
    """The line of a fault that the device kind itself describes: its values and the rules that must fire."""
    silent = 0.0 if fault.silent else None
    return FaultEntry(
        fault.key,
        fault.title,
        fault.title_zh,
        Effect(values=fault.values, ramp_s=ramp_s, silent_after_s=silent, noticed=not fault.silent),
        raises=fault.raises,
        lasts_s=lasts_s,
        clears=clears,
        allows=allows,
        scheduled=scheduled,
        note=note,
    )


def fault_called(faults: tuple[Fault, ...], key: str) -> Fault:
    """A kind's own fault, by its key."""
    return next(fault for fault in faults if fault.key == key)
