"""expected: a lamp does not do what sun, season and schedule ask of it at its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Final

from domain.alert import Severity
from domain.instants import seconds_to_micros
from domain.reading import MeasureValue
from rules.levels import EveryValue, level_data, override_times
from rules.lighting import Expected as State
from rules.lighting import Nights, Schedule
from rules.numbers import number_of, unknown_parameter
from rules.rule import Condition, Level, Memory, Reach, RuleOverrideError, Verdict
from rules.surroundings import Surroundings
from rules.unasked import Unasked

_PARAMETERS: Final = "grace_s, burns_from_w, off_by_pct"
_LONGEST_GRACE_S: Final = 4 * 3600.0


class Wrong(StrEnum):
    """What a lamp may do that is not expected of it."""

    DARK = "dark"
    """It is off when it should be on (该亮不亮)."""
    BURNING = "burning"
    """It burns when it should be off (白日亮灯)."""
    DIMMED = "dimmed"
    """It burns brighter or dimmer than it should (半夜灯失调)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected(Unasked):
    """Bad while a lamp is otherwise than the lighting schedule of its place expects (期望状态).

    Every verdict is one on a reading, at the time of the reading. Around each switching time nothing is decided:
    feeders are switched minutes apart. A lamp that was dark at night is not repaired because it is rightly dark by
    day: only when it burns is it well again; and one that burns by day, when it is off.
    """

    kind: ClassVar[str] = "expected"

    wrong: Wrong
    measure: str
    """The measure that tells whether the lamp is switched on, or for ``dimmed`` at how many per cent it burns."""
    power: str | None = "power_w"
    """What it draws decides whether it burns, where a reading tells it: a switch may stick. ``None``: the switch."""
    burns_from_w: float = 5.0
    """Drawing as much, it burns; less is what a controller needs for itself."""
    off_by_pct: float = 10.0
    """For ``dimmed``: it may differ by less."""
    grace_s: float = 1200.0
    """So long before and after each switching time nothing is decided."""
    severity: Severity = Severity.MINOR
    hold_s: float = 0.0
    """Seconds it must last before the alert fires."""
    keep_s: float = 0.0
    """Seconds for which readings must be good before it clears."""

    def __post_init__(self) -> None:
        """Refuse a parameter out of its bounds.

        Raises:
            RuleOverrideError: the message names it.
        """
        for name, value, high in (
            ("grace_s", self.grace_s, _LONGEST_GRACE_S),
            ("burns_from_w", self.burns_from_w, 5000.0),
            ("off_by_pct", self.off_by_pct, 100.0),
        ):
            if not 0 < value <= high:
                message = f"{name} must be above 0 and at most {high:g}, not {value:g}"
                raise RuleOverrideError(message)

    @property
    def measures(self) -> tuple[str, ...]:
        """What it draws before its switch."""
        if self.power is None or self.wrong is Wrong.DIMMED:
            return (self.measure,)
        return (self.power, self.measure)

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level, reached when it is otherwise than expected."""
        return (Level(self.severity, limit=1.0, hold_s=self.hold_s, keep_s=self.keep_s),)

    def placed(self, surroundings: Surroundings) -> Condition:
        """The condition at a place, or itself where place or schedule is not known."""
        longitude, latitude, schedule = surroundings.longitude, surroundings.latitude, surroundings.schedule
        if longitude is None or latitude is None or schedule is None:
            return self
        dimming = self.wrong is Wrong.DIMMED
        nights = Nights(longitude, latitude, surroundings.zone, schedule, dimming=dimming)
        return Placed(rule=self, surroundings=surroundings, schedule=schedule, nights=nights)

    def missing(self, surroundings: Surroundings) -> str | None:
        """Why it cannot judge there."""
        if surroundings.longitude is None or surroundings.latitude is None:
            return "Its asset has no position, so nobody can tell when the sun rises and sets there: it is not judged."
        if surroundings.schedule is None:
            return "No lighting schedule is in force for it, so nothing is expected of it: it is not judged."
        return None

    def overridden(self, parameters: Mapping[str, object]) -> "Expected":
        """Accepts the numbers and, under the severity's name, ``{"hold_s", "keep_s"}``."""
        changed = self
        for name, value in parameters.items():
            if name in {"grace_s", "burns_from_w", "off_by_pct"}:
                number = number_of(name, value)
                changed = replace(changed, **{name: number})  # type: ignore[arg-type]  # a number each
            elif isinstance(value, Mapping):
                inner: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
                level = override_times(changed.levels, name, inner, _PARAMETERS, "an expected")
                changed = replace(changed, hold_s=level.hold_s, keep_s=level.keep_s)
            else:
                raise unknown_parameter(name, _PARAMETERS)
        return changed

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "wrong": self.wrong.value,
            "measure": self.measure,
            "power": self.power,
            "burns_from_w": self.burns_from_w,
            "off_by_pct": self.off_by_pct,
            "grace_s": self.grace_s,
            "levels": [level_data(level) for level in self.levels],
        }

    def verdict(self, values: Mapping[str, MeasureValue], state: State | None) -> tuple[MeasureValue, Verdict] | None:
        """What a reading says; ``state`` is what is expected then, ``None`` while that is not known."""
        if self.wrong is Wrong.DIMMED:
            return self._of_level(values.get(self.measure), state)
        value, burns = self._burning(values)
        if value is None:
            return None
        bad = burns is (self.wrong is Wrong.BURNING)
        if not bad:
            return value, Verdict.GOOD
        return value, Verdict.BAD if state is not None and state.on is not burns else Verdict.KEEP

    def _burning(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue | None, bool]:
        """The value that tells, and whether the lamp burns by it."""
        drawn = None if self.power is None else values.get(self.power)
        if drawn is not None:
            return drawn, drawn >= self.burns_from_w
        switched = values.get(self.measure)
        return switched, bool(switched)

    def _of_level(self, pct: MeasureValue | None, state: State | None) -> tuple[MeasureValue, Verdict] | None:
        if pct is None:
            return None
        if state is None or not state.on or pct <= 0:
            # Whether it may be off, the other rules say.
            return pct, Verdict.KEEP
        return pct, Verdict.BAD if abs(pct - state.pct) >= self.off_by_pct else Verdict.GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(EveryValue):
    """The condition at a place: it must see every value, and knows when each was measured."""

    kind: ClassVar[str] = Expected.kind

    rule: Expected
    surroundings: Surroundings
    schedule: Schedule
    nights: Nights = field(compare=False, repr=False)

    @property
    def measures(self) -> tuple[str, ...]:
        """As without a place."""
        return self.rule.measures

    @property
    def levels(self) -> tuple[Level, ...]:
        """As without a place."""
        return self.rule.levels

    def reach(self, validity_s: float) -> Reach:
        """It remembers nothing: it only needs to know the time."""
        del validity_s
        return Reach(0.0, 1)

    def weigh(
        self, values: Mapping[str, MeasureValue], at: int, validity: int, memory: Memory
    ) -> tuple[MeasureValue, Sequence[Verdict], Memory] | None:
        """The verdict on a reading of that time."""
        del validity, memory
        judged = self.rule.verdict(values, self.expected(at))
        return None if judged is None else (judged[0], [judged[1]], None)

    def fine(self, values: Mapping[str, MeasureValue], at: int) -> bool:
        """Whether it is as expected, or what is expected is not known then."""
        judged = self.rule.verdict(values, None)
        if judged is None or judged[1] is Verdict.GOOD:
            # At no time of day is that bad.
            return True
        judged = self.rule.verdict(values, self.expected(at))
        return judged is None or judged[1] is not Verdict.BAD

    def expected(self, at: int) -> State | None:
        """What is expected of the lamp at a moment; ``None`` near a switching time, and where there is no night."""
        state = self._state(at)
        grace = seconds_to_micros(self.rule.grace_s)
        return None if state is None or at - state.since < grace or state.until - at <= grace else state

    def lapses(self, at: int) -> int | None:
        """Until the grace before the next switching time."""
        state = self._state(at)
        return None if state is None else state.until - seconds_to_micros(self.rule.grace_s)

    def _state(self, at: int) -> State | None:
        """What a command asks while it lasts, else the schedule; when either ends, the lamp is switched."""
        state, command = self.nights.expected(at), self.surroundings.command
        if command is None:
            return state
        if command.at <= at < command.until:
            return State(command.pct > 0, command.pct, command.at, command.until)
        if state is None:
            return None
        if command.until <= at:
            return state._replace(since=max(state.since, command.until))
        return state._replace(until=min(state.until, command.at))

    def placed(self, surroundings: Surroundings) -> Condition:
        """The condition at another place."""
        return self.rule.placed(surroundings)

    def missing(self, surroundings: Surroundings) -> str | None:
        """Why it cannot judge there."""
        return self.rule.missing(surroundings)

    def overridden(self, parameters: Mapping[str, object]) -> Condition:
        """With other parameters, at the same place."""
        return self.rule.overridden(parameters).placed(self.surroundings)

    def as_data(self) -> dict[str, object]:
        """The parameters, and the schedule: an alert names both. Not the position, which is the asset's."""
        return {**self.rule.as_data(), "schedule": self.schedule.as_data()}


RULE_KIND: Final = Expected
"""Found by ``rules.catalogue``."""
