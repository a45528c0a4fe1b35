"""Sensor: one device of a city at work: when it measures and reports, and what, as pure functions of the time."""

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Final

from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from domain.reading import MeasureValue
from ingest.format import Format, Sender
from simulators.city import CIRCUIT, SITE, City, serial_of
from simulators.fleet import FleetDevice
from simulators.habits import Habit, habit_of
from simulators.physics.calendar import DAY_MS, LOCAL_MS, air_c, local_day
from simulators.physics.catalogue import load_physics, make_model
from simulators.physics.model import Model, Moment, Place, even, noise_at
from simulators.trouble import Scene, Trouble
from simulators.weather import Weather

_FAST_SHARE: Final = 0.2
"""Of the clocks so many run ahead, the others behind."""
_DRIFT_PPM: Final = (2.0, 30.0)
"""Crystals; a clock is set right once a day, so that it is off by less than three seconds."""


@dataclass(slots=True)
class Sensor:
    """One device: who it is, how it reports, and what it measures."""

    entry: FleetDevice
    kind: DeviceKind
    sender: Sender
    habit: Habit
    model: Model
    key: bytes
    """Seed of everything that varies from report to report."""
    phase_ms: int
    interval_ms: int
    sample_ms: int
    """Between two measurements; 0: it measures when it reports."""
    spread_ms: int
    drift: float
    """Milliseconds that its clock gains in a millisecond; negative where it loses."""
    expected_ms: int
    """The interval that the registry expects: silences are counted by it, and readings are valid by it."""
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    """Where the registry departs from a rule for this device alone."""
    troubles: Sequence[Trouble] = ()
    edges: Sequence[int] = ()
    """When its troubles give it something to tell at once, in order."""
    cleared: Sequence[int] = field(default_factory=tuple[int, ...])
    """When somebody put it right, in order."""

    def planned(self, number: int) -> int:
        """Epoch milliseconds of its report number so-and-so since 1970."""
        late = int(self.spread_ms * even(self.key, b"report", number)) if self.spread_ms else 0
        return self.phase_ms + number * self.interval_ms + late

    def next_planned(self, at_ms: int) -> int:
        """When it reports next by its interval, at ``at_ms`` or later."""
        first = (at_ms - self.phase_ms - self.spread_ms) // self.interval_ms
        return next(at for number in count(first) if (at := self.planned(number)) >= at_ms)

    def last_planned(self, before_ms: int) -> int:
        """When it reported last by its interval, before ``before_ms``."""
        last = (before_ms - self.phase_ms) // self.interval_ms
        return next(at for number in count(last, -1) if (at := self.planned(number)) < before_ms)

    def next_report(self, after_ms: int) -> int:
        """When it reports next, later than ``after_ms``: by its interval, on a change, or because it babbles."""
        due = self.next_planned(after_ms + 1)
        if self.habit.on_change:
            due = min(due, self._next_change(after_ms, due))
        for trouble in self.troubles:
            if trouble.effect.every_s is not None and trouble.begins_ms <= after_ms + 1 < trouble.ends_ms:
                due = min(due, after_ms + round(1000 * trouble.effect.every_s))
            elif trouble.effect.every_s is not None and after_ms < trouble.begins_ms < due:
                due = trouble.begins_ms
        place = bisect_right(self.edges, after_ms)
        return min(due, self.edges[place]) if place < len(self.edges) else due

    def samples(self, after_ms: int, until_ms: int) -> Iterator[int]:
        """When it measured what it reports at ``until_ms``, since its report at ``after_ms``."""
        if self.sample_ms:
            first = (after_ms - self.phase_ms) // self.sample_ms + 1
            for number in count(first):
                at_ms = self.phase_ms + number * self.sample_ms
                if at_ms >= until_ms:
                    break
                yield at_ms
        yield until_ms

    def measure(self, at_ms: int, weather: Weather) -> dict[str, MeasureValue]:
        """All it measures at a time, its troubles included."""
        values = self.healthy(at_ms, weather)
        for trouble in self.troubles:
            if trouble.active(at_ms):
                begins_ms = trouble.begins_ms
                scene = Scene(
                    self.kind,
                    at_ms,
                    begins_ms,
                    noise_at(self.key, at_ms),
                    lambda then=begins_ms: self.healthy(then, weather),  # type: ignore[misc]  # mypy knows no default
                )
                trouble.change(values, scene)
        return values

    def healthy(self, at_ms: int, weather: Weather) -> dict[str, MeasureValue]:
        """All it would measure without its troubles."""
        cleared = bisect_right(self.cleared, at_ms) if self.cleared else 0
        moment = Moment(
            at_ms,
            noise_at(self.key, at_ms),
            air_c(at_ms),
            weather.rain(at_ms),
            weather.crowds,
            self.cleared[cleared - 1] if cleared else None,
        )
        return self.model.values(moment)

    def told_ms(self, at_ms: int) -> int:
        """What its clock shows at a time; the nearest millisecond that it can write."""
        wrong = sum(trouble.effect.clock_s for trouble in self.troubles if trouble.active(at_ms))
        return at_ms + int(self.drift * ((at_ms - self.phase_ms) % DAY_MS)) + round(1000 * wrong)

    def suffer(self, troubles: Sequence[Trouble]) -> None:
        """Take these troubles on."""
        self.troubles = tuple(sorted(troubles, key=lambda trouble: trouble.begins_ms))
        wakes = {at for trouble in troubles for at in trouble.edges()} if self.habit.on_change else set[int]()
        self.edges = sorted(wakes)
        self.cleared = sorted(trouble.ends_ms for trouble in troubles if trouble.clears)

    def _next_change(self, after_ms: int, before_ms: int) -> int:
        """The first thing in its own world that it tells at once, between two times; else the later one."""
        for day in range(local_day(after_ms), local_day(before_ms) + 1):
            for at_ms in self.model.changes(day):
                if at_ms > after_ms:
                    return min(at_ms, before_ms)
        return before_ms


def overrides_of(entry: FleetDevice) -> dict[str, Mapping[str, object]]:
    """What the import makes of the angle at which a device was fitted."""
    return {} if entry.baseline_deg is None else {f"{entry.kind}.tilt": {"baseline": entry.baseline_deg}}


def man_city(city: City, kinds: Mapping[str, DeviceKind], source: Format, *, run_seed: int) -> list[Sensor]:
    """Make all devices of a city ready: what they are follows from the city's seed, what varies from the run's, too.

    Raises:
        InvalidInputError: a device is of a kind that nobody knows, or has no name in the format's namespace.
    """
    physics = load_physics()
    circuits = {
        name: (circuit, order / max(1, len(members) - 1))
        for circuit, members in city.groups.get(CIRCUIT, {}).items()
        for order, name in enumerate(members)
    }
    sites = {name: site for site, members in city.groups.get(SITE, {}).items() for name in members}
    sensors: list[Sensor] = []
    for entry in city.devices:
        kind = kinds.get(entry.kind)
        alias = entry.alias(source.name)
        if kind is None:
            raise InvalidInputError(f"device {entry.name} is a {entry.kind!r}; the kinds are {', '.join(kinds)}")
        if alias is None:
            raise InvalidInputError(f"device {entry.name} has no alias {source.name}=… in the registry")
        dice = random.Random(f"{city.seed}/{entry.name}")
        circuit, position = circuits.get(entry.name, (None, 0.0))
        habit = habit_of(kind, serial_of(entry.name))
        place = Place(
            entry.longitude or 0.0,
            entry.latitude or 0.0,
            habit,
            entry.baseline_deg,
            city.places.get(sites.get(entry.name, "")),
            circuit,
            position,
        )
        key = blake2b(f"{city.seed}/{run_seed}/{entry.name}".encode(), digest_size=16).digest()
        interval_ms = round(1000 * (entry.interval_s or habit.interval_s))
        ahead = dice.random() < _FAST_SHARE
        drift = dice.uniform(*_DRIFT_PPM) * (1e-6 if ahead else -1e-6)
        sensors.append(
            Sensor(
                entry=entry,
                kind=kind,
                sender=Sender(entry.name, entry.kind, entry.district, alias),
                habit=habit,
                model=make_model(kind, physics, place, dice, key),
                key=key,
                phase_ms=-LOCAL_MS if habit.midnight else dice.randrange(interval_ms),
                interval_ms=interval_ms,
                sample_ms=round(1000 * (habit.sample_s or 0.0)),
                spread_ms=min(round(1000 * habit.spread_s), interval_ms // 2),
                drift=drift,
                expected_ms=interval_ms,
                overrides=overrides_of(entry),
            )
        )
    return sensors
