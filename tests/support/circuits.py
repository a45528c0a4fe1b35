"""Streets of devices that hang on circuits and stand at sites, told by hand, with the coordinator beside them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.catalogue import load_group_rules, load_kinds
from ingest.delivery import Delivery
from rules.rule import Rule
from service.cases import Cases
from service.coordinator.look import GroupLook
from service.flow import Flow
from service.known import KnownDevices
from service.ticker import Ticker
from store.coordinator import anything_new, begin
from store.registry import AssetEntry, DeviceEntry, Saved, save
from tests.support.api import StillClock
from tests.support.flow import LATE_BOUND, ZONE, flow_on, unmuting_of
from tests.support.publishing import body, topic
from tests.support.registered import DISTRICT

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


async def register_street(pool: Any, names: Sequence[str], kind: str = "streetlight", **asset: Any) -> None:
    """Devices, each on an asset of its own; ``asset`` says what those have alike."""
    assets = [AssetEntry(name=f"A-{name}", kind=kind, district=DISTRICT, **asset) for name in names]
    devices = [DeviceEntry(name=name, kind=kind, district=DISTRICT, asset=f"A-{name}") for name in names]
    assert isinstance(await save(pool, assets, devices, NOW - timedelta(days=1)), Saved)


class Coordinated:
    """Workers and a coordinator on one database; nothing happens by itself."""

    def __init__(self, pool: Any, flows: Sequence[Flow], clock: StillClock, rules: Mapping[str, Rule]) -> None:
        self.pool, self.flows, self.clock = pool, flows, clock
        known, cases = KnownDevices(load_kinds(), several=rules), Cases(ZONE)
        self.look = GroupLook(load_kinds(), known, cases)
        self.unmuting = unmuting_of(flows[0])
        self.ticker = Ticker(pool, known, cases, LATE_BOUND)
        self._token = 0

    async def tell(self, *batch: Delivery, worker: int = 0) -> None:
        self._token += 1
        await self.flows[worker].settle(list(batch), self._token)

    async def decide(self) -> int:
        """Let the coordinator read all there is; how many looks that took."""
        looks = 0
        async with self.pool.acquire() as connection:
            while await anything_new(connection):
                await self.look.look(connection, self.clock.now())
                looks += 1
        return looks

    async def wait(self, **time: float) -> None:
        """Let time pass: mutes end."""
        self.clock.time += timedelta(**time)
        while await self.unmuting.look(self.clock.time):
            pass

    async def incidents(self) -> list[tuple[Any, ...]]:
        rows = await self.pool.fetch("SELECT rule, name, state, alerts, firing FROM incident ORDER BY id")
        return [tuple(row) for row in rows]

    async def tickets(self) -> list[tuple[Any, ...]]:
        rows = await self.pool.fetch("SELECT case_class, state, firing, title FROM ticket ORDER BY id")
        return [tuple(row) for row in rows]


async def coordinated(pool: Any, workers: int = 1, rules: Iterable[Rule] | None = None) -> Coordinated:
    clock = StillClock(NOW)
    by_key = load_group_rules() if rules is None else {rule.key: rule for rule in rules}
    flows = [await flow_on(pool, f"worker-{number}", clock, group_rules=by_key) for number in range(1, workers + 1)]
    street = Coordinated(pool, flows, clock, by_key)
    async with pool.acquire() as connection:
        await begin(connection, "worker-1", clock.now())
    return street


def told(name: str, at: datetime, kind: str = "streetlight", **values: float) -> Delivery:
    """One reading, received when it was measured."""
    return Delivery(topic(name, kind), body(at, None, **values), at, 0, redelivered=False, generation=1)
