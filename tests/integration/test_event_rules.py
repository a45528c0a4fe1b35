"""Rules on events: in order, late, told twice, told by several workers, ended by an event or by the clock."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest

from devices.catalogue import load_kinds
from domain.instants import to_micros
from domain.role import Role
from ingest.delivery import Delivery
from ingest.topics import EVENT
from rules.episodes import Told, episodes
from service.cases import Cases
from service.event_rules import Looked, look_at_events
from service.flow import Flow
from service.known import KnownDevices
from service.ticker import Ticker
from tests.support.api import client
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import topic
from tests.support.ruled import START, RuledStreet

RULE = "manhole.tampered"
BEGAN, ENDED = False, True
Message = tuple[float, str, bool]


def tampered(lasts_s: float = 100, classes: Sequence[str] = ("tamper",), **changes: object) -> dict[str, object]:
    return {
        "key": RULE,
        "kind": "event",
        "title": "Cover tampered with",
        "title_zh": "井盖被撬",
        "case_class": "0101-1",
        "condition": {"classes": list(classes), "lasts_s": lasts_s, "severity": "major"},
        **changes,
    }


class EventStreet(RuledStreet):
    """A manhole that tells events."""

    packets: int

    def delivery(self, second: float, event_class: str = "tamper", ended: bool = BEGAN) -> Delivery:
        self.packets += 1
        body: dict[str, object] = {"ts": to_micros(START + timedelta(seconds=second)) // 1000, "class": event_class}
        if ended:
            body["state"] = "ended"
        name = topic("MH-1", leaf=EVENT)
        return Delivery(name, orjson.dumps(body), self.clock.now(), self.packets, redelivered=False, generation=1)

    async def tell(self, *messages: Message, flow: Flow | None = None) -> None:
        """Settle events as one batch, received at the newest of their times unless the clock is ahead."""
        newest = max(second for second, _, _ in messages)
        self.clock.time = max(self.clock.time, START + timedelta(seconds=newest))
        batch = [self.delivery(*message) for message in messages]
        await (flow or self.flow).settle(batch, self.packets)

    async def found(self) -> list[tuple[float, float | None, str, bool]]:
        """(onset, cleared at, standing, retrospective)."""
        rows = await self.pool.fetch(
            "SELECT onset, cleared_at, standing, retrospective, state FROM alert WHERE rule = $1 ORDER BY onset", RULE
        )
        assert all((row[1] is None) == (row[4] == "firing") for row in rows)
        return [
            (
                (row[0] - START).total_seconds(),
                None if row[1] is None else (row[1] - START).total_seconds(),
                row[2],
                row[3],
            )
            for row in rows
        ]

    async def steps(self) -> list[str]:
        return [row[0] for row in await self.pool.fetch("SELECT step FROM alert_event ORDER BY at, step DESC")]

    async def ticket(self) -> Any:
        return await self.pool.fetchrow("SELECT number, state, firing, review FROM ticket ORDER BY id DESC LIMIT 1")


@pytest.fixture
async def street(pool: Any) -> EventStreet:
    street = EventStreet(pool)
    await street.open()
    await street.change(tampered())
    return street


async def test_an_event_fires_opens_a_ticket_and_its_end_clears_and_resolves_it(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    assert await street.found() == [(0, None, "upheld", False)]
    assert ((await street.ticket())["state"], (await street.ticket())["firing"]) == ("open", 1)
    await street.tell((40, "tamper", ENDED))
    assert await street.found() == [(0, 40, "upheld", False)]
    assert ((await street.ticket())["state"], (await street.ticket())["firing"]) == ("resolved", 0)
    assert await street.steps() == ["opened", "cleared"]


async def test_the_clock_clears_it_at_the_time_it_was_over_whoever_looks_when(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.tell((90, "tamper", BEGAN))
    await street.tick(189)
    assert await street.found() == [(0, None, "upheld", False)]
    await street.tick(700)
    assert await street.found() == [(0, 190, "upheld", False)]
    assert (await street.ticket())["state"] == "resolved"
    assert await street.steps() == ["opened", "cleared"]
    assert await street.tick(10_000) == 0


async def test_a_further_event_ends_what_was_over_before_it(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.tell((300, "tamper", BEGAN))
    assert await street.found() == [(0, 100, "upheld", False), (300, None, "upheld", False)]


async def test_an_event_of_another_class_and_the_same_again_change_nothing(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN), (0, "tamper", BEGAN))
    await street.tell((0, "tamper", BEGAN))
    await street.tell((10, "door", BEGAN), (20, "door", ENDED))
    assert await street.found() == [(0, None, "upheld", False)]
    assert await street.steps() == ["opened"]


async def test_a_late_event_is_found_late(street: EventStreet) -> None:
    await street.tell((1000, "tamper", BEGAN))
    await street.tell((500, "tamper", BEGAN))
    assert await street.found() == [(500, 600, "upheld", True), (1000, None, "upheld", False)]


async def test_a_late_end_corrects_and_a_late_beginning_contradicts_the_later_onset(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.tick(150)
    await street.tell((50, "tamper", ENDED))
    assert await street.found() == [(0, 50, "upheld", False)]
    assert sorted(await street.steps()) == ["cleared", "corrected", "opened"]
    await street.tell((300, "tamper", BEGAN))
    before = await street.ticket()
    await street.tell((250, "tamper", BEGAN))
    found = await street.found()
    assert found[1:] == [(250, None, "upheld", True), (300, 300, "contradicted", False)]
    after = await street.ticket()
    assert (after["number"], after["state"], after["firing"], after["review"]) == (before["number"], "open", 1, False)


async def test_one_prolonged_after_the_clock_had_ended_it_fires_again(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.tick(150)
    await street.tell((80, "tamper", BEGAN))
    assert await street.found() == [(0, None, "upheld", False)]
    await street.tick(181)
    assert await street.found() == [(0, 180, "upheld", False)]
    assert (await street.ticket())["state"] == "resolved"


async def test_beyond_the_late_bound_an_event_is_stored_and_judges_nothing(street: EventStreet) -> None:
    street.clock.time = START + timedelta(days=8)
    await street.tell((0, "tamper", BEGAN))
    assert await street.found() == []
    assert await street.pool.fetchval("SELECT count(*) FROM device_event") == 1
    await street.tell((8 * 86400, "tamper", BEGAN))
    assert await street.found() == [(8 * 86400, None, "upheld", False)]


async def test_a_suspended_device_is_not_judged_and_a_retired_one_is_cleared(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.pool.execute("UPDATE device SET life_cycle = 'suspended'")
    street.known.forget()
    await street.tell((10, "tamper", ENDED))
    await street.tick(500)
    assert await street.found() == [(0, None, "upheld", False)]
    await street.pool.execute("UPDATE device SET life_cycle = 'retired'")
    street.known.forget()
    await street.tick(600)
    assert await street.found() == [(0, 600, "upheld", False)]


async def test_a_rule_that_is_gone_clears_and_one_that_changed_goes_on(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.change(tampered(lasts_s=200))
    await street.tick(150)
    assert await street.found() == [(0, None, "upheld", False)]
    await street.change(remove=(RULE,))
    await street.tick(160)
    assert await street.found() == [(0, 160, "upheld", False)]


async def test_a_rule_that_is_switched_off_clears_at_the_next_look(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.change(tampered(enabled=False))
    await street.tick(50)
    assert await street.found() == [(0, 50, "upheld", False)]


async def test_a_worker_that_knew_of_no_such_rule_learns_of_it_by_the_look_itself(street: EventStreet) -> None:
    await street.deliver(0, tilt_deg=1.0)
    await street.change(remove=(RULE,))
    await street.pool.execute("DELETE FROM rule_revision WHERE key = $1", RULE)
    cases = Cases(ZONE)
    await cases.start(street.pool, [], START)
    # Nobody tells it of the change, as between a commit and its notice.
    street.ticker = Ticker(street.pool, KnownDevices(load_kinds()), cases, LATE_BOUND)
    assert await street.tick(0) > 0
    await street.change(tampered())
    await street.tell((10, "tamper", BEGAN))
    await street.tick(200)
    assert await street.found() == [(10, 110, "upheld", False)]


@pytest.mark.parametrize("there", [False, True])
async def test_a_look_asks_for_alerts_of_events_only_where_a_rule_on_them_ever_was(
    street: EventStreet, there: bool
) -> None:
    await street.change(remove=(RULE,))
    if not there:
        await street.pool.execute("DELETE FROM rule_revision WHERE key = $1", RULE)
    asked: list[Any] = []
    async with street.pool.acquire() as connection:
        known = await street.known.load_by_id(connection, [street.device])
        with connection.query_logger(asked.append):
            looked = await look_at_events(connection, known, START, START, LATE_BOUND)
    assert (len(asked), looked) == (int(there), Looked([], {}))


async def test_what_the_rule_decided_as_it_was_then_stands(street: EventStreet) -> None:
    await street.tell((0, "tamper", BEGAN))
    await street.tick(150)
    await street.change(tampered(lasts_s=1000))
    await street.tell((50, "tamper", BEGAN))
    await street.tell((300, "tamper", BEGAN))
    assert await street.found() == [(0, 100, "upheld", False), (300, None, "upheld", False)]


async def test_in_shadow_it_raises_nothing_that_is_shown(street: EventStreet) -> None:
    await street.change(tampered(shadow=True))
    await street.tell((0, "tamper", BEGAN))
    await street.tick(150)
    rows = await street.pool.fetch("SELECT rule, onset, cleared_at FROM shadow_alert")
    assert [tuple(row) for row in rows] == [(RULE, START, START + timedelta(seconds=100))]
    assert await street.found() == []


async def test_two_rules_of_different_reach_on_one_device_keep_apart(street: EventStreet) -> None:
    await street.change(tampered(lasts_s=10), {**tampered(lasts_s=5000, classes=("flood",)), "key": "manhole.flooding"})
    await street.tell((0, "tamper", BEGAN), (5, "tamper", BEGAN))
    await street.tell((1000, "tamper", BEGAN), (1000, "flood", BEGAN))
    assert await street.found() == [(0, 15, "upheld", False), (1000, None, "upheld", False)]
    assert await street.alerts("manhole.flooding") == [("manhole.flooding", 1000, 1000, "firing")]


async def test_the_explanation_says_what_it_is_and_whether_it_fires(street: EventStreet) -> None:
    async with client(street.pool, Role.VIEWER) as http:
        rules = (await http.get("/v1/devices/MH-1/rules")).json()["rules"]
        (rule,) = (one for one in rules if one["key"] == RULE)
        assert rule["state"] == "clear"
        assert rule["why"].startswith("No reading decides it, but events: one of class tamper fires it")
        await street.tell((0, "tamper", BEGAN))
        rules = (await http.get("/v1/devices/MH-1/rules")).json()["rules"]
        (rule,) = (one for one in rules if one["key"] == RULE)
        assert (rule["state"], rule["why"].split(":")[0]) == ("firing", "An event tamper came at 2026-03-01T08")


MESSAGES: Sequence[Message] = [
    *((second, "tamper", BEGAN) for second in (0, 60, 150, 400, 480, 900, 1300, 1390, 2000)),
    *((second, "lift", BEGAN) for second in (130, 700, 950, 1400)),
    *((second, "tamper", ENDED) for second in (430, 910, 1350, 3000)),
    *((second, "lift", ENDED) for second in (140, 1000)),
]


def expected() -> list[tuple[float, float]]:
    told = [Told(START + timedelta(seconds=second), 1, name, ended) for second, name, ended in MESSAGES]
    return [
        ((one.onset - START).total_seconds(), (one.end - START).total_seconds())
        for one in episodes(told, ("tamper", "lift"), 100)
    ]


@pytest.mark.parametrize("seed", range(12))
async def test_every_order_repetition_split_and_crash_upholds_the_same_alerts(street: EventStreet, seed: int) -> None:
    chance = random.Random(seed)
    await street.change(tampered(classes=("tamper", "lift")))
    street.clock.time = START + timedelta(seconds=3000)
    messages = [*MESSAGES, *chance.sample(MESSAGES, 4)]
    chance.shuffle(messages)
    cuts = [0, *sorted(chance.sample(range(1, len(messages)), chance.randint(0, 8))), len(messages)]
    for number, (first, last) in enumerate(pairwise(cuts), 1):
        batch = messages[first:last]
        if chance.random() < 0.3:
            # The transaction is undone, as by a crash before the commit; the batch comes again.
            with pytest.raises(RuntimeError):
                await _undone(street, batch)
        await street.tell(*batch)
        if chance.random() < 0.5:
            await street.tick(3000 + number)
    await street.tick(4000)
    upheld = [(onset, cleared) for onset, cleared, standing, _ in await street.found() if standing == "upheld"]
    assert upheld == expected()
    # Behind so many it flaps, which keeps the ticket open; nothing behind it fires.
    assert (await street.ticket())["firing"] == 0


async def _undone(street: EventStreet, batch: Sequence[Message]) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    flow: Any = await flow_on(street.pool, clock=street.clock, known=street.known)
    flow._remember = fail  # a last step before the commit
    await street.tell(*batch, flow=flow)


async def test_two_workers_at_once_uphold_the_same_alerts(street: EventStreet) -> None:
    await street.change(tampered(classes=("tamper", "lift")))
    street.clock.time = START + timedelta(seconds=3000)
    other = await flow_on(street.pool, "worker-2", clock=street.clock, known=KnownDevices(load_kinds()))
    messages = list(MESSAGES)
    random.Random(7).shuffle(messages)

    async def work(flow: Flow, mine: Sequence[Message]) -> None:
        for place in range(0, len(mine), 2):
            await street.tell(*mine[place : place + 2], flow=flow)

    await asyncio.gather(work(street.flow, messages[::2]), work(other, messages[1::2]))
    await street.tick(4000)
    upheld = [(onset, cleared) for onset, cleared, standing, _ in await street.found() if standing == "upheld"]
    assert upheld == expected()
