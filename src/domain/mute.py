"""Mutes: why an alert that fires asks for no ticket just now."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class MuteReason(StrEnum):
    """What keeps an alert quiet."""

    SILENCE = "silence"
    """静默: a person does not want to hear of it for a while."""
    MAINTENANCE = "maintenance"
    """维护: a crew is at work on the asset."""
    INHIBITION = "inhibition"
    """抑制: a graver alert explains it."""
    GROUP_WAIT = "group_wait"
    """Its rule waits whether others of its group fire, too."""
    INCIDENT = "incident"
    """It is part of an incident, which has the ticket."""


class Mute(NamedTuple):
    """One reason for which one alert asks for no ticket."""

    alert_id: int
    reason: MuteReason
    source: str
    """Who says so: the number of a silence, the rule that waits for its group, ``incident:`` and its number."""
    since: datetime
    until: datetime | None
    """``None``: until whoever set it ends it."""
