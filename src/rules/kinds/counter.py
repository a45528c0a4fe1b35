"""counter: a meter's counter runs back, or on through the night when nobody should be using anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.instants import EPOCH, from_micros, seconds_to_micros, to_micros
from domain.reading import MeasureValue
from rules.levels import LevelledMemory, Side, verdicts_on
from rules.numbers import Bounds
from rules.rule import Memory, Reach, RuleOverrideError, Verdict
from rules.samples import samples_of

_A_DAY: Final = timedelta(days=1)


class Looks(StrEnum):
    """What of a counter is looked at."""

    BACK = "back"
    """By how much this reading lies below the one before, in the measure's unit: a meter turned round (倒走)."""
    NIGHT_FLOW = "night_flow"
    """Flow between two readings of one night, in the measure's unit per hour: a leak, or use without leave
    (夜间最小流量)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter(LevelledMemory):
    """Bad while a counter runs back, or runs by a level's limit or more an hour through the night.

    At night the flow is that between the first reading of the night and this one, once they lie ``least_s`` apart. By
    day nothing is decided: what fires goes on firing until the next night says otherwise.
    """

    kind: ClassVar[str] = "counter"
    bounds: ClassVar[Mapping[str, Bounds]] = {"wraps_at": Bounds(0.0, 1e12), "least_s": Bounds(60.0, 43_200.0)}

    looks: Looks
    wraps_at: float = 0.0
    """Where the counter begins again at 0; 0: nowhere. A step back of more than half of it is that."""
    least_s: float = 3600.0
    """Seconds that two readings of a night must lie apart."""
    night_from: time = time(2)
    night_to: time = time(4)
    """In the zone; may lie beyond midnight."""
    zone: str = "Asia/Shanghai"
    """The district's, an IANA name."""

    def __post_init__(self) -> None:
        """Refuse what can never be.

        Raises:
            RuleOverrideError: a number is out of bounds, the night is empty or too short, or nobody knows the zone.
        """
        super(Counter, self).__post_init__()
        if self._night() < timedelta(seconds=self.least_s) and self.looks is Looks.NIGHT_FLOW:
            message = f"least_s must fit into the night of {self._night()}, not {self.least_s:g} s"
            raise RuleOverrideError(message)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = f"zone must be an IANA name such as Asia/Shanghai, not {self.zone!r}"
            raise RuleOverrideError(message) from error

    def _night(self) -> timedelta:
        ends, begins = (datetime.combine(EPOCH, at) for at in (self.night_to, self.night_from))
        return (ends - begins) % _A_DAY

    def reach(self, validity_s: float) -> Reach:
        """The reading before; of a night, its first one. An hour more where the clocks change."""
        del validity_s
        night = self._night() + timedelta(hours=1)
        return Reach(0.0, 2) if self.looks is Looks.BACK else Reach(night.total_seconds(), 1)

    def weigh_value(
        self, value: MeasureValue, at: int, validity: int, memory: Memory
    ) -> tuple[Sequence[Verdict], Memory] | None:
        """A verdict per level on the step from the reading before, or on the flow of the night."""
        del validity
        first = [at, value]
        pairs = samples_of(memory).pairs
        if self.looks is Looks.BACK:
            back = -self._step(pairs[0][1], value) if pairs else 0.0
            return verdicts_on(back, self.levels, Side.ABOVE) if back > 0 else self._all(Verdict.GOOD), [first]
        begins = self._begin_of_night(at)
        if begins is None:
            return None
        if pairs and begins <= pairs[0][0] <= at:
            first = pairs[0]
        elapsed = at - first[0]
        if elapsed < seconds_to_micros(self.least_s):
            return self._all(Verdict.KEEP), [first]
        flow = self._step(first[1], value) / elapsed * seconds_to_micros(3600.0)
        return verdicts_on(flow, self.levels, Side.ABOVE), [first]

    def _all(self, verdict: Verdict) -> list[Verdict]:
        return [verdict] * len(self.levels)

    def _step(self, was: float, value: float) -> float:
        step = value - was
        return step + self.wraps_at if self.wraps_at and step < -self.wraps_at / 2 else step

    def _begin_of_night(self, at: int) -> int | None:
        """When the night began in which ``at`` lies, in microseconds; ``None``: it is day."""
        zone = ZoneInfo(self.zone)
        local = from_micros(at).astimezone(zone)
        for day in (local.date(), local.date() - _A_DAY):
            begins = datetime.combine(day, self.night_from, zone)
            ends_on = day if self.night_from < self.night_to else day + _A_DAY
            if begins <= local < datetime.combine(ends_on, self.night_to, zone):
                return to_micros(begins)
        return None

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            **super(Counter, self).as_data(),
            "looks": self.looks.value,
            "night_from": self.night_from.isoformat(timespec="minutes"),
            "night_to": self.night_to.isoformat(timespec="minutes"),
            "zone": self.zone,
        }


RULE_KIND: Final = Counter
"""Found by ``rules.catalogue``."""
