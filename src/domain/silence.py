"""Silences (静默) and maintenance windows (维护窗口): whose alerts ask for no ticket, from when to when."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

LONGEST_SILENCE: Final = timedelta(days=90)
"""What shall be quiet for longer is no silence: the rule is wrong, or the device is to be suspended."""

LONGEST_CHECK_IN: Final = timedelta(hours=24)
"""No crew is at work for longer, but one may forget to check out."""


class SilenceSort(StrEnum):
    """What a silence is for; also the reason of the mutes that it sets."""

    SILENCE = "silence"
    """静默: whatever is in its scope."""
    MAINTENANCE = "maintenance"
    """维护: what a crew at work sets off, and nothing else unless a rule is named."""


class SilenceState(StrEnum):
    """Where a silence stands."""

    PLANNED = "planned"
    ACTIVE = "active"
    ENDED = "ended"


class SilenceScope(NamedTuple):
    """Whom a silence concerns: every alert that all of the parts given fit."""

    device: str | None = None
    asset: str | None = None
    model: str | None = None
    owner: str | None = None
    grid: str | None = None
    circuit: str | None = None
    site: str | None = None
    kind: str | None = None
    """Of device."""
    rule: str | None = None

    def given(self) -> Iterator[tuple[str, str]]:
        """(name, value) of the parts that are given."""
        return ((name, value) for name, value in zip(self._fields, self, strict=True) if value is not None)


def state_of(starts_at: datetime, ends_at: datetime, ended_at: datetime | None, now: datetime) -> SilenceState:
    """Where a silence stands at a moment. Its start belongs to it, its end does not."""
    if ended_at is not None or now >= ends_at:
        return SilenceState.ENDED
    return SilenceState.PLANNED if now < starts_at else SilenceState.ACTIVE
