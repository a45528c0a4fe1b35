"""combined: several conditions of one device hold together, or any of them does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Final, TypeGuard

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.levels import EveryValue, level_data, override_times
from rules.numbers import unknown_parameter
from rules.rule import Condition, Level, Memory, Reach, Remembering, RuleOverrideError, Verdict

_FEWEST: Final = 2
_MOST: Final = 8
_NAMES: Final = {Verdict.BAD: "b", Verdict.KEEP: "k", Verdict.GOOD: "g"}
_BY_NAME: Final = {name: verdict for verdict, name in _NAMES.items()}

_Seen = list[tuple[int, str, MeasureValue] | None]
"""Per part: when it last spoke, what it said, and on which value."""


class Match(StrEnum):
    """How many of the parts must hold."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined(EveryValue):
    """Bad while all of the ``parts`` hold, or any of them (组合条件: 同时满足 / 任一满足).

    A device seldom reports all its measures in one message: a part speaks for as long as a reading stays valid. Of
    parts of which one is not known, "all" is not known either unless another part is good; "any" unless one is bad.
    """

    kind: ClassVar[str] = "combined"

    match: Match
    parts: tuple[Condition, ...]
    """Conditions on one reading (threshold, range), of which each is bad if one of its levels is."""
    severity: Severity = Severity.MAJOR
    hold_s: float = 0.0
    """Seconds they must hold before the alert fires."""
    keep_s: float = 0.0
    """Seconds for which readings must be good before it clears."""

    def __post_init__(self) -> None:
        """Refuse parts that one reading does not decide.

        Raises:
            RuleOverrideError: a part remembers or looks at no measure, or there are too few or too many.
        """
        if not _FEWEST <= len(self.parts) <= _MOST:
            message = f"a combined rule has {_FEWEST} to {_MOST} parts, not {len(self.parts)}"
            raise RuleOverrideError(message)
        for part in self.parts:
            if isinstance(part, Remembering) or not part.measures:
                message = (
                    f"a part of a combined rule must be decided by one reading (threshold, range), not {part.kind}"
                )
                raise RuleOverrideError(message)

    @property
    def measures(self) -> tuple[str, ...]:
        """Those of all parts, each once; the first is the one named in alerts."""
        return tuple(dict.fromkeys(measure for part in self.parts for measure in part.measures))

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level, reached when the parts hold."""
        return (Level(self.severity, limit=1.0, hold_s=self.hold_s, keep_s=self.keep_s),)

    def reach(self, validity_s: float) -> Reach:
        """As far back as a part may speak."""
        return Reach(validity_s, 1)

    def weigh(
        self, values: Mapping[str, MeasureValue], at: int, validity: int, memory: Memory
    ) -> tuple[MeasureValue, Sequence[Verdict], Memory] | None:
        """What the parts say together, those that this reading concerns and those that spoke not long ago."""
        seen = self._seen(memory)
        concerned = False
        for place, part in enumerate(self.parts):
            judged = part.judge(values)
            if judged is not None:
                value, verdicts = judged
                concerned = True
                seen[place] = (at, _NAMES[_gravest(verdicts)], value)
        if not concerned:
            return None
        known = [None if one is None or at - one[0] > validity else _BY_NAME[one[1]] for one in seen]
        value = next(one[2] for one in seen if one is not None)
        return value, [self._together(known)], seen

    def _seen(self, memory: Memory) -> _Seen:
        return memory if _is_seen(memory, len(self.parts)) else [None] * len(self.parts)

    def _together(self, known: Sequence[Verdict | None]) -> Verdict:
        decisive, other = (Verdict.GOOD, Verdict.BAD) if self.match is Match.ALL else (Verdict.BAD, Verdict.GOOD)
        if decisive in known:
            return decisive
        return other if all(one is other for one in known) else Verdict.KEEP

    def overridden(self, parameters: Mapping[str, object]) -> "Combined":
        """Accepts ``{"hold_s", "keep_s"}`` under the severity's name, and under ``parts`` theirs by number, from 1."""
        changed = self
        for name, value in parameters.items():
            if not isinstance(value, Mapping):
                raise unknown_parameter(name, "parts")
            inner: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
            if name == "parts":
                changed = replace(changed, parts=_override_parts(changed.parts, inner))
            else:
                level = override_times(changed.levels, name, inner, "parts", "a combined")
                changed = replace(changed, hold_s=level.hold_s, keep_s=level.keep_s)
        return changed

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "match": self.match.value,
            "parts": [{"kind": part.kind, **part.as_data()} for part in self.parts],
            "levels": [level_data(level) for level in self.levels],
        }


RULE_KIND: Final = Combined
"""Found by ``rules.catalogue``."""


def _gravest(verdicts: Sequence[Verdict]) -> Verdict:
    if Verdict.BAD in verdicts:
        return Verdict.BAD
    return Verdict.KEEP if Verdict.KEEP in verdicts else Verdict.GOOD


def _override_parts(parts: tuple[Condition, ...], overrides: Mapping[str, object]) -> tuple[Condition, ...]:
    changed = list(parts)
    for number, parameters in overrides.items():
        if not str(number).isdigit() or not 1 <= int(number) <= len(parts) or not isinstance(parameters, Mapping):
            message = f"parts takes overrides under their numbers, 1 to {len(parts)}, not {number!r}"
            raise RuleOverrideError(message)
        own: Mapping[str, object] = parameters  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
        changed[int(number) - 1] = changed[int(number) - 1].overridden(own)
    return tuple(changed)


def _is_seen(memory: Memory, parts: int) -> TypeGuard[_Seen]:
    return isinstance(memory, list) and len(memory) == parts  # pyright: ignore[reportUnknownArgumentType]  # from storage
