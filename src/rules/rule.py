"""Rule: a condition of some rule kind, and what follows when it fires; the promise that every rule kind keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from domain.alert import SHADOW_MARK, Severity
from domain.reading import MeasureValue
from domain.ticket import TicketSort


class Verdict(Enum):
    """What one reading says of one level of a condition."""

    BAD = "bad"
    """The condition holds."""
    KEEP = "keep"
    """Between limit and clear level: what fires goes on firing, what is pending starts anew."""
    GOOD = "good"
    """The condition does not hold, beyond the clear level."""


class RuleOverrideError(ValueError):
    """An override names a parameter that the rule does not have, or gives it an impossible value."""


@dataclass(frozen=True, slots=True)
class Level:
    """One step of gravity of a rule. Several levels (warn, alarm) make one alert, which rises and falls."""

    severity: Severity
    limit: float
    """Where the condition begins to hold, inclusive, in the measure's unit."""
    clear: float | None = None
    """The value must lie beyond this to clear; ``None``: as soon as it no longer reaches the limit."""
    hold_s: float = 0.0
    """Seconds the condition must last before the level fires."""
    keep_s: float = 0.0
    """Seconds for which readings must be good, without a gap, before what fires clears."""


Memory = object
"""What a condition keeps of the readings before: JSON-able (``None``, numbers, strings, lists of them), since it is
stored with the device's state. It belongs to the condition, which may change a list in place."""


class Reach(NamedTuple):
    """How far back a memory reaches: nothing older than either makes a difference to a verdict."""

    seconds: float
    """Readings of the last so many seconds."""
    readings: int
    """And this one together with those before it, so many in all, however old."""


@runtime_checkable
class Condition(Protocol):
    """What every rule kind promises; a condition is pure and knows no time of its own."""

    kind: ClassVar[str]
    """Name of the rule kind: its file's name."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures whose readings concern it; empty for a condition on silence."""
        ...

    @property
    def levels(self) -> tuple[Level, ...]:
        """Levels, mildest first."""
        ...

    @property
    def silence_intervals(self) -> float | None:
        """For a condition on silence: after how many expected intervals it holds; else ``None``."""
        ...

    def quiet_within(self, measure: str) -> tuple[float, float] | None:
        """The open interval of ``measure`` in which no level is bad and nothing needs remembering.

        The plan merges the intervals of all rules on a measure, so that a healthy value costs two comparisons however
        many rules look at it. ``None``: the condition must see every value.
        """
        ...

    def judge(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue, Sequence[Verdict]] | None:
        """The value that was judged and a verdict per level, or ``None`` if the reading does not concern it."""
        ...

    def overridden(self, parameters: Mapping[str, object]) -> "Condition":
        """The same condition with some parameters of its own.

        Raises:
            RuleOverrideError: a parameter is unknown or its value impossible; the message names it.
        """
        ...

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters: stored as the rule's revision and shown to people."""
        ...


@runtime_checkable
class Remembering(Condition, Protocol):
    """A condition on more than one reading. It must see every value: ``quiet_within`` says ``None``.

    The late path depends on ``reach``: a late reading is judged again together with what could remember it.
    """

    def reach(self, validity_s: float) -> Reach:
        """How far back verdicts depend on readings; ``validity_s`` is for how long one stays valid."""
        ...

    def weigh(
        self, values: Mapping[str, MeasureValue], at: int, validity: int, memory: Memory
    ) -> tuple[MeasureValue, Sequence[Verdict], Memory] | None:
        """The value that was judged, a verdict per level, and the memory to keep; ``None``: it does not concern it.

        ``at`` and ``validity`` are microseconds, ``memory`` is what the last call returned or ``None``. It may come
        from other parameters of the same kind: a rule may change while devices remember.
        """
        ...


@runtime_checkable
class Lapsing(Condition, Protocol):
    """A condition whose verdict on a reading ends at a time of day: at dusk, "off" no longer is what it was at noon."""

    def lapses(self, at: int) -> int | None:
        """Until when a verdict on a reading of ``at`` speaks, both in microseconds; ``None``: no such end.

        A hold that has not elapsed by then does not elapse; the next reading decides.
        """
        ...


@runtime_checkable
class Timely(Condition, Protocol):
    """A condition whose verdict on a value depends on the reading's time; ``quiet_within`` can say nothing of it."""

    def fine(self, values: Mapping[str, MeasureValue], at: int) -> bool:
        """Whether a reading of ``at``, in microseconds, changes nothing while nothing is pending or firing.

        Every reading of a healthy device asks it, so it must be cheap.
        """
        ...


@runtime_checkable
class Marked(Condition, Protocol):
    """A condition whose limits are values of its measure: a picture of the signal can show them."""

    def marks(self) -> Sequence[tuple[float, Severity]]:
        """The values at which a level begins to hold, in the measure's unit, each with the level's severity."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition and what follows from it."""

    key: str
    """``<device kind>.<what>``, for example ``manhole.tilt``."""
    title: str
    title_zh: str
    condition: Condition
    case_class: str | None = None
    """Case class of the ticket it opens (案件小类): ``0101-1`` component class and condition, ``E05-02`` event
    class, ``M-…`` maintenance. ``None``: an alert only."""
    sort: TicketSort = TicketSort.CASE
    ticket_from: Severity = Severity.NOTICE
    """Only from this severity on does a ticket open: a warning may stay an alert."""
    hushed_at_work: bool = False
    """Whoever works there sets it off (作业触发): it asks for no ticket while a crew has checked in."""
    shadow: bool = False
    """试运行: judged and counted, and nothing of it is shown; no ticket."""

    @property
    def slot(self) -> str:
        """Under which name the engine remembers it, and tells its steps: what a shadow knows is its own."""
        return f"{self.key}{SHADOW_MARK}" if self.shadow else self.key

    def as_data(self) -> dict[str, object]:
        """JSON-able form of the whole rule; its digest identifies the revision."""
        data: dict[str, object] = {
            "key": self.key,
            "title": self.title,
            "title_zh": self.title_zh,
            "kind": self.condition.kind,
            "condition": self.condition.as_data(),
            "case_class": self.case_class,
            "sort": self.sort.value,
            "ticket_from": int(self.ticket_from),
        }
        # Left out where it is not so: rules that never were keep their revisions.
        marks = {"hushed_at_work": self.hushed_at_work, "shadow": self.shadow}
        return data | {name: True for name, is_so in marks.items() if is_so}
