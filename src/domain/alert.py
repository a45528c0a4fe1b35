"""Alerts: how grave one is, how it lives, and the steps the rule engine reports."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

SHADOW_MARK: Final = "~shadow"
"""Behind the key of a rule in shadow, where what it remembers and raises must not be taken for the rule's own."""


class Severity(IntEnum):
    """How grave an alert is; 1 is the worst, as the trade counts."""

    CRITICAL = 1
    """危急: someone may be hurt now."""
    MAJOR = 2
    """严重: must be dealt with today."""
    MINOR = 3
    """一般: plan it."""
    NOTICE = 4
    """提示: worth knowing."""


class AlertState(StrEnum):
    """Whether the cause still stands."""

    FIRING = "firing"
    CLEARED = "cleared"


class Standing(StrEnum):
    """Whether the in-order stream of readings bears the alert out."""

    UPHELD = "upheld"
    CONTRADICTED = "contradicted"
    """A late reading showed that the stream in order would not have raised it; a person decides."""


class Step(StrEnum):
    """What happened to an alert at one moment."""

    OPENED = "opened"
    ROSE = "rose"
    """A graver level of the same rule now fires."""
    FELL = "fell"
    """The gravest level cleared; a lesser one still fires."""
    CLEARED = "cleared"
    CORRECTED = "corrected"
    """Late readings moved its times, or the gravest it reached; or bear out again what was contradicted."""
    CONTRADICTED = "contradicted"
    """A late reading showed that the stream in order would not have raised it."""


class Transition(NamedTuple):
    """One step of one alert, as the engine decided it; alerts are keyed (device, rule, onset)."""

    device_id: int
    rule: str
    """Key of the rule, for example ``manhole.tilt``."""
    onset: datetime
    """Event time at which the condition began: part of the alert's identity."""
    at: datetime
    """Event time of this step: onset plus hold for an opening."""
    step: Step
    severity: Severity
    """The gravest level that fires after this step (for ``CLEARED``: that fired before it)."""
    measure: str | None
    """What was judged; ``None`` where nothing was (silence)."""
    value: float | bool | None
    """The value that decided, in the measure's unit."""
    reading: tuple[datetime, int] | None
    """(time, digest) of the reading that decided; ``None`` for a step the clock decided."""
