"""KnownDevices: the registry as the way of a message sees it, remembered until the registry changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from devices.kind import DeviceKind
from devices.plans import interval_of, plan_of
from domain.device import Device
from ingest.normalise import Limits, limits_of
from rules.layers import GroupOverrides
from rules.plan import Plan, make_plan
from store.connection import Executor
from store.known_devices import devices_by_alias, devices_by_id
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


class KnownDevices:
    """Finds devices by the names their sources use. Unknown names are asked for again with every batch."""

    def __init__(self, kinds: Mapping[str, DeviceKind]) -> None:
        """Start empty."""
        self._kinds = kinds
        self._limits = {key: limits_of(kind) for key, kind in kinds.items()}
        self._plans: dict[tuple[str, float, bytes], Plan] = {}
        self._by_alias: dict[tuple[str, str], Known] = {}
        self._groups: GroupOverrides | None = None
        self._epoch = 0

    def forget(self) -> None:
        """The registry changed: ask again. A batch under way keeps what it was given."""
        self._by_alias.clear()
        self._plans.clear()
        self._groups = None
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
            groups = self._groups or GroupOverrides(await load_group_overrides(connection))
            rows = await devices_by_alias(connection, missing)
            found = {alias: self._describe(device, groups) for alias, device in rows.items()}
            batch |= found
            if epoch == self._epoch:
                self._groups = groups
                if len(self._by_alias) + len(found) > _REMEMBERED:
                    self._by_alias.clear()
                self._by_alias |= found
        return batch

    async def load_by_id(self, connection: Executor, ids: list[int]) -> dict[int, Known]:
        """Devices by id, for the ticker.

        It looks at once when the registry changes, and sets the next look by what it finds: nothing remembered will do,
        since it may look before the change was heard of here.
        """
        groups = GroupOverrides(await load_group_overrides(connection))
        return {key: self._describe(device, groups) for key, device in (await devices_by_id(connection, ids)).items()}

    def _describe(self, device: Device, groups: GroupOverrides) -> Known:
        """Put a device together with its kind's limits and its plan."""
        kind = self._kinds.get(device.kind)
        if kind is None:
            # A kind whose file was taken away: its readings are held as unknown until it is back.
            return Known(device, {}, make_plan((), interval_s=1.0, validity_factor=1.0, overrides={}))
        return Known(device, self._limits[kind.key], self._plan(kind, device, groups))

    def _plan(self, kind: DeviceKind, device: Device, groups: GroupOverrides) -> Plan:
        interval = interval_of(kind, device)
        overrides = groups.settle(kind.rules, device)
        key = (kind.key, interval, overrides)
        plan = self._plans.get(key)
        if plan is None:
            plan = plan_of(kind, interval, overrides)
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan
