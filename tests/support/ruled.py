"""One manhole judged by defaults and rule book: the test delivers, moves the clock, and changes the book."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from api.rule_desk import entry_of
from devices.catalogue import load_kinds
from devices.rule_book import read_rule
from domain.coverage import Coverage
from domain.instants import to_micros
from ingest.delivery import Delivery
from service.cases import Cases
from service.flow import Flow
from service.known import KnownDevices
from service.ticker import Ticker
from store.rule_book import Author, BookWriting
from tests.support.api import StillClock
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import topic
from tests.support.registered import register

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def steep(limit: float = 30, **changes: object) -> dict[str, object]:
    """A rule beside the defaults, as a rule file tells it."""
    return {
        "key": "manhole.steep",
        "kind": "threshold",
        "title": "Cover very steep",
        "title_zh": "井盖陡倾",
        "case_class": "0101-1",
        "condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": limit, "hold_s": 30}]},
        **changes,
    }


class RuledStreet:
    """The flow and the ticker of one worker, which hears of every change of the book as a running one does."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.clock = StillClock(START)
        self.packets = 0

    async def open(self) -> "RuledStreet":
        self.device = await register(self.pool, "MH-1", interval_s=600.0)
        kinds = load_kinds()
        cases = Cases(ZONE)
        await cases.start(self.pool, [one for kind in kinds.values() for one in kind.rules], START)
        self.known = KnownDevices(kinds)
        self.flow: Flow = await flow_on(self.pool, clock=self.clock, known=self.known)
        self.ticker = Ticker(self.pool, self.known, cases, LATE_BOUND)
        return self

    async def change(self, *written: Mapping[str, object], remove: tuple[str, ...] = (), source: str = "api") -> None:
        """Change the book, and let the worker hear of it."""
        async with self.pool.acquire() as connection, connection.transaction():
            writing = BookWriting(connection, Author("test", source), self.clock.now())
            await writing.lock()
            await writing.remove(remove)
            await writing.write([entry_of(read_rule(one, load_kinds())) for one in written])
            await writing.wake()
        self.known.forget()

    async def deliver(self, second: float, **values: object) -> None:
        """Settle one reading, received when it was measured unless the clock is ahead already."""
        at = START + timedelta(seconds=second)
        self.clock.time = max(self.clock.time, at)
        self.packets += 1
        payload = orjson.dumps({"ts": to_micros(at) // 1000, "values": values})
        delivery = Delivery(topic("MH-1"), payload, self.clock.now(), self.packets, redelivered=False, generation=1)
        await self.flow.settle([delivery], self.packets)

    async def tick(self, second: float) -> int:
        """Let the clock run to a time and decide what is due; returns how many looks that took."""
        self.clock.time = START + timedelta(seconds=second)
        looked = 0
        while seen := await self.ticker.look(self.clock.now(), {"native": Coverage(START, self.clock.now())}):
            looked += seen
        return looked

    async def alerts(self, rule: str = "%") -> list[tuple[str, float, float, str]]:
        """(rule, onset, fired at, state), times in seconds since the start."""
        rows = await self.pool.fetch(
            "SELECT rule, onset, fired_at, state FROM alert WHERE rule LIKE $1 ORDER BY onset, rule", rule
        )
        return [(r[0], (r[1] - START).total_seconds(), (r[2] - START).total_seconds(), r[3]) for r in rows]

    async def tracks(self) -> Any:
        """What the device's rules remember, as stored."""
        return await self.pool.fetchval("SELECT tracks FROM device_state WHERE device_id = $1", self.device)
