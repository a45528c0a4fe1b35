"""KnownDevices: the registry as the way of a message sees it, remembered until the registry changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from api.rule_desk import load_book
from devices.kind import DeviceKind
from devices.places import Schedules, goes_by_place, surroundings_of
from devices.plans import interval_of, plan_of
from devices.rule_book import several_with_book, with_book
from domain.device import Device
from ingest.normalise import Limits, limits_of
from rules.layers import GroupOverrides
from rules.plan import Plan, make_plan
from rules.rule import Rule
from rules.surroundings import Surroundings
from service.over_several import OverSeveral
from store.connection import Executor
from store.event_rules import rules_on_events_ever
from store.known_devices import devices_by_alias, devices_by_id
from store.lighting_schedules import load_schedules
from store.rule_book import book_version
from store.rule_overrides import load_group_overrides

_REMEMBERED: Final = 200_000
"""Devices kept by alias; when full the memory starts anew. About 600 bytes a device, its names included."""

_PLANS: Final = 5_000
"""Plans kept by kind, interval and merged overrides; about 10 KB each."""


@dataclass(frozen=True, slots=True)
class Known:
    """A device and what its kind and settings make of it."""

    device: Device
    limits: Mapping[str, Limits]
    plan: Plan
    several: OverSeveral
    """Rules over several devices; of the same version of the rule book as the plan."""
    by_events: bool
    """Whether a rule on events is in force, or ever was: without, no alert of one can fire."""


class _InForce:
    """The kinds with the rules in force as of one version of the rule book, and the plans made of them."""

    def __init__(
        self, version: int, kinds: Mapping[str, DeviceKind], several: Mapping[str, Rule], *, by_events: bool
    ) -> None:
        self.version = version
        self.by_events = by_events
        self.several = OverSeveral(several, kinds)
        self.kinds = kinds
        self.placed = frozenset(key for key, kind in kinds.items() if goes_by_place(kind))
        """Kinds of which a rule goes by its surroundings."""
        self.plans: dict[tuple[str, float, bytes, Surroundings | None], Plan] = {}


@dataclass(frozen=True, slots=True)
class _Around:
    """What else decides how a device is judged: its groups' overrides and their lighting schedules."""

    groups: GroupOverrides
    schedules: Schedules


class KnownDevices:
    """Finds devices by the names their sources use. Unknown names are asked for again with every batch."""

    def __init__(
        self, kinds: Mapping[str, DeviceKind], zone: str = "Asia/Shanghai", several: Mapping[str, Rule] | None = None
    ) -> None:
        """Start empty; ``zone`` is the district's.

        ``several``: the rules over several devices from which the book departs; else the default ones.
        """
        self._kinds = kinds
        self._several = several
        self._zone = zone
        self._limits = {key: limits_of(kind) for key, kind in kinds.items()}
        self._in_force: _InForce | None = None
        self._by_alias: dict[tuple[str, str], Known] = {}
        self._around: _Around | None = None
        self._epoch = 0

    def forget(self) -> None:
        """The registry or the rule book changed: ask again. A batch under way keeps what it was given."""
        self._by_alias.clear()
        self._in_force = None
        self._around = None
        self._epoch += 1

    async def load(self, connection: Executor, aliases: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """The devices that these (source, alias) name; those not remembered are asked for, all at once.

        The answer is the batch's own: what is forgotten meanwhile stays in it. What was read before a change and
        arrives after it is not remembered.
        """
        wanted = set(aliases)
        batch = {alias: known for alias in wanted if (known := self._by_alias.get(alias)) is not None}
        missing = [alias for alias in wanted if alias not in batch]
        if missing:
            epoch = self._epoch
            around = self._around or await _look_around(connection)
            in_force = self._in_force or await self._read_book(connection)
            rows = await devices_by_alias(connection, missing)
            found = {alias: self._describe(device, around, in_force) for alias, device in rows.items()}
            batch |= found
            if epoch == self._epoch:
                self._around, self._in_force = around, in_force
                if len(self._by_alias) + len(found) > _REMEMBERED:
                    self._by_alias.clear()
                self._by_alias |= found
        return batch

    async def load_by_id(self, connection: Executor, ids: list[int]) -> dict[int, Known]:
        """Devices by id, for the ticker.

        It looks at once when the registry changes, and sets the next look by what it finds: nothing remembered will do,
        since it may look before the change was heard of here.
        """
        around = await _look_around(connection)
        in_force = await self._now_in_force(connection)
        devices = await devices_by_id(connection, ids)
        return {key: self._describe(device, around, in_force) for key, device in devices.items()}

    async def over_several(self, connection: Executor) -> OverSeveral:
        """The rules over several devices as they stand now; the same object until the book changes."""
        return (await self._now_in_force(connection)).several

    async def _now_in_force(self, connection: Executor) -> _InForce:
        in_force = self._in_force
        if in_force is None or in_force.version != await book_version(connection):
            epoch = self._epoch
            in_force = await self._read_book(connection)
            if epoch == self._epoch:
                self._in_force = in_force
        return in_force

    async def _read_book(self, connection: Executor) -> _InForce:
        # The version first: a book read after it may be newer than it says, and is then read once more for nothing.
        version = await book_version(connection)
        book = [one.written for one in await load_book(connection, self._kinds)]
        # After the version as well: what stood in the book by then, and each default, has a revision.
        by_events = await rules_on_events_ever(connection)
        kinds, several = with_book(self._kinds, book), several_with_book(book, self._several)
        return _InForce(version, kinds, several, by_events=by_events)

    def _describe(self, device: Device, around: _Around, in_force: _InForce) -> Known:
        """Put a device together with its kind's limits and its plan."""
        kind = in_force.kinds.get(device.kind)
        if kind is None:
            # A kind whose file was taken away: its readings are held as unknown until it is back.
            nothing = make_plan((), interval_s=1.0, validity_factor=1.0, overrides={})
            return Known(device, {}, nothing, in_force.several, in_force.by_events)
        surroundings = surroundings_of(device, around.schedules, self._zone) if kind.key in in_force.placed else None
        plan = _plan(kind, device, around.groups, surroundings, in_force.plans)
        return Known(device, self._limits[kind.key], plan, in_force.several, in_force.by_events)


async def _look_around(connection: Executor) -> _Around:
    groups = GroupOverrides(await load_group_overrides(connection))
    return _Around(groups, Schedules.read(row[:3] for row in await load_schedules(connection)))


def _plan(
    kind: DeviceKind,
    device: Device,
    groups: GroupOverrides,
    surroundings: Surroundings | None,
    plans: dict[tuple[str, float, bytes, Surroundings | None], Plan],
) -> Plan:
    interval = interval_of(kind, device)
    overrides = groups.settle(kind.rules, device)
    key = (kind.key, interval, overrides, surroundings)
    plan = plans.get(key)
    if plan is None:
        plan = plan_of(kind, interval, overrides, surroundings)
        if len(plans) >= _PLANS:
            plans.clear()
        plans[key] = plan
    return plan
