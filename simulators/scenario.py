"""Scenario: what happens to a city, as a YAML file says it; some come along, others a user writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from yaml.nodes import MappingNode

from domain.errors import InvalidInputError
from simulators.faultbook.catalogue import Listed, find_listed
from simulators.physics.model import Crowd
from simulators.truth import Purpose
from simulators.weather import Rain, Weather
from simulators.yaml_table import (
    Place,
    Reader,
    Table,
    Value,
    duration,
    each,
    moment,
    number,
    read_yaml,
    span,
    table,
    text,
    whole,
)

SHIPPED: Final = Path(__file__).with_name("scenarios")
SUFFIX: Final = ".yaml"

_MOST: Final = 10_000_000
_MOST_SEED: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time, from the start of the scenario."""

    from_s: float
    lasts_s: float
    strength: float
    """Of rain: 0 to 1. Of a crowd: how many times as many people."""


@dataclass(frozen=True, slots=True)
class Cast:
    """One line of the list of faults: which fault, how often, and when."""

    fault: str
    count: int | None = None
    """So many times …"""
    share: float | None = None
    """… or on so many of the devices that could have it; of groups, of the groups."""
    each_s: float | None = None
    """Anew in each stretch of so many seconds; ``None``: once."""
    from_s: float = 0.0
    """It begins no earlier than so long after the start, or after that of each stretch …"""
    until_s: float | None = None
    """… and no later than so long after it; ``None``: the stretch's, or the scenario's, end."""
    lasts_s: tuple[float, float] | None = None
    """``None``: as long as the fault book says."""
    inside: tuple[str, int] | None = None
    """Only on devices of so many groups of a sort, which are drawn first: (``gateway``, 2)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario."""

    name: str
    title: str
    title_zh: str
    about: str
    start: datetime
    duration_s: float
    seeds: Mapping[Purpose, Sequence[int]]
    """Kept apart: who tunes a rule on a run must be judged by another one."""
    rains: Sequence[Spell] = ()
    crowds: Sequence[Spell] = ()
    casts: Sequence[Cast] = field(default_factory=tuple[Cast, ...])

    def weather(self, start_ms: int) -> Weather:
        """The weather of a run that begins then."""
        rains = [Rain(*_bounds(spell, start_ms), spell.strength) for spell in self.rains]
        crowds = [Crowd(*_bounds(spell, start_ms), spell.strength) for spell in self.crowds]
        return Weather(rains, crowds)

    def purpose_of(self, seed: int) -> Purpose:
        """What a run with this seed may be used for: what is not kept for judging is for tuning."""
        return Purpose.JUDGING if seed in self.seeds[Purpose.JUDGING] else Purpose.TUNING


def shipped_scenarios() -> Sequence[str]:
    """Names of the scenarios that come along."""
    return sorted(path.stem for path in SHIPPED.glob(f"*{SUFFIX}"))


def load_scenario(name: str, book: Mapping[str, Listed]) -> Scenario:
    """Read a scenario by its name or from its file; ``book`` knows the faults.

    Raises:
        InvalidInputError: there is none, or the file is wrong; the message names file and line.
    """
    path = SHIPPED / f"{name}{SUFFIX}"
    if not name.endswith((SUFFIX, ".yml")):
        if not path.exists():
            there = ", ".join(shipped_scenarios())
            raise InvalidInputError(
                f"there is no scenario {name!r}; there are {there}, or a file that ends in {SUFFIX}"
            )
    else:
        path = Path(name)
    inside = read_yaml(path, "the scenario")
    scenario = _read(inside, path.stem, book)
    inside.end()
    return scenario


def _read(inside: Table, name: str, book: Mapping[str, Listed]) -> Scenario:
    def read_cast(place: Place) -> Cast:
        return _read_cast(place, book)

    return Scenario(
        name=name,
        title=inside.take("title", text),
        title_zh=inside.take("title_zh", text),
        about=inside.take("about", text),
        start=inside.take("start", moment),
        duration_s=inside.take("duration", _length),
        seeds=inside.take("seeds", _read_seeds),
        rains=inside.get("rain", each(table(lambda spell: _read_spell(spell, "strength", 1.0))), ()),
        crowds=inside.get("crowds", each(table(lambda spell: _read_spell(spell, "factor", 10.0))), ()),
        casts=inside.get("faults", each(read_cast), ()),
    )


def _length(place: Place) -> float:
    seconds = duration(place)
    if not seconds:
        raise place.wrong("longer than nothing")
    return seconds


def _read_seeds(place: Place) -> Mapping[Purpose, Sequence[int]]:
    inside = Table(place)
    seeds = {purpose: inside.take(purpose.value, each(whole(0, _MOST_SEED))) for purpose in Purpose}
    inside.end()
    if not all(seeds.values()):
        raise place.wrong("at least one seed for tuning and one for judging")
    both = set(seeds[Purpose.TUNING]) & set(seeds[Purpose.JUDGING])
    if both:
        raise place.wrong(f"other seeds for judging than for tuning; {min(both)} is in both lists")
    return seeds


def _read_spell(inside: Table, strength: str, most: float) -> Spell:
    return Spell(
        inside.take("from", duration), inside.take("lasts", duration), inside.take(strength, number(0.0, most))
    )


def _read_cast(place: Place, book: Mapping[str, Listed]) -> Cast:
    def known(at: Place) -> str:
        try:
            return find_listed(book, text(at)).name
        except InvalidInputError as error:
            raise InvalidInputError(f"{at.file}, line {at.node.start_mark.line + 1}: {error}") from error

    inside = Table(place)
    cast = Cast(
        fault=inside.take("fault", known),
        count=inside.get("count", _maybe(whole(1, _MOST)), None),
        share=inside.get("share", _maybe(number(0.0, 1.0)), None),
        each_s=inside.get("each", _maybe(_length), None),
        from_s=inside.get("from", duration, 0.0),
        until_s=inside.get("until", _maybe(duration), None),
        lasts_s=inside.get("lasts", _maybe(span), None),
        inside=inside.get("inside", _maybe(_read_inside), None),
    )
    inside.end()
    if (cast.count is None) == (cast.share is None):
        raise place.wrong("given a count or a share, and not both")
    if cast.until_s is not None and cast.until_s < cast.from_s:
        raise place.wrong("until no earlier than from")
    return cast


def _maybe(read: Reader[Value]) -> Reader[Value | None]:
    """The same, where leaving it out means ``None``."""
    return read


def _read_inside(place: Place) -> tuple[str, int]:
    if not isinstance(place.node, MappingNode) or len(place.node.value) != 1:
        raise place.wrong("one sort of group and a number, such as {gateway: 2}")
    key, value = place.node.value[0]
    return str(key.value), whole(1, _MOST)(Place(place.file, f"{place.name}.{key.value}", value))


def _bounds(spell: Spell, start_ms: int) -> tuple[int, int]:
    begins_ms = start_ms + round(1000 * spell.from_s)
    return begins_ms, begins_ms + round(1000 * spell.lasts_s)
