"""Incidents: alerts of one circuit, site or neighbourhood become one incident with one ticket, and it lets go again."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from domain.alert import Severity
from domain.coverage import Coverage
from rules.kinds.group import By, Group
from rules.rule import Rule
from tests.support.circuits import NOW, Coordinated, coordinated, register_street, told

MINUTE = timedelta(minutes=1)
LAMPS = [f"L-{number:02}" for number in range(40)]


async def go_dark(street: Coordinated, names: list[str], worker: int = 0) -> None:
    """Each says twice that it does not burn: the minute in which it may strike again is over."""
    begun = street.clock.time
    await street.tell(*(told(name, begun - 2 * MINUTE, lamp_failure=True) for name in names), worker=worker)
    await street.tell(*(told(name, begun - 1 * MINUTE, lamp_failure=True) for name in names), worker=worker)


async def burn(street: Coordinated, names: list[str]) -> None:
    await street.tell(*(told(name, street.clock.time, lamp_failure=False) for name in names))


@pytest.mark.parametrize("seed", range(3))
async def test_forty_lamps_in_any_order_by_two_workers_are_one_incident_and_one_ticket(pool: Any, seed: int) -> None:
    chance = random.Random(seed)
    await register_street(pool, LAMPS, circuit="XH-01")
    street = await coordinated(pool, workers=2)
    order = chance.sample(LAMPS, len(LAMPS))
    while order:
        size = chance.randint(1, 12)
        batch, order = order[:size], order[size:]
        half = chance.randint(0, len(batch))
        await asyncio.gather(go_dark(street, batch[:half]), go_dark(street, batch[half:], worker=1))
        if chance.random() < 0.5:
            await street.decide()
        street.clock.time += timedelta(seconds=chance.randint(0, 20))
    await street.decide()
    assert await street.incidents() == [("streetlight.circuit_dark", "XH-01", "open", 40, 40)]
    assert await street.tickets() == [("0137-98", "open", 1, "Circuit dark: XH-01")]
    await street.wait(hours=2)
    await street.decide()
    assert len(await street.tickets()) == 1, "no lamp asks for a ticket as long as the incident is open"
    assert await pool.fetchval("SELECT count(*) FROM alert WHERE rule = 'streetlight.circuit_dark'") == 1


async def test_two_dark_lamps_wait_in_vain_and_get_their_own_tickets(pool: Any) -> None:
    await register_street(pool, LAMPS[:6], circuit="XH-01")
    street = await coordinated(pool)
    await go_dark(street, LAMPS[:2])
    await street.decide()
    assert await street.tickets() == []
    await street.wait(minutes=9)
    assert await street.tickets() == []
    await street.wait(minutes=1)
    assert [ticket[:3] for ticket in await street.tickets()] == [("0137-3", "open", 1)] * 2
    assert await street.incidents() == []


async def test_a_lamp_on_no_circuit_does_not_wait(pool: Any) -> None:
    await register_street(pool, LAMPS[:1])
    street = await coordinated(pool)
    await go_dark(street, LAMPS[:1])
    assert [ticket[0] for ticket in await street.tickets()] == ["0137-3"]
    assert await pool.fetchval("SELECT count(*) FROM alert_mute") == 0


async def test_the_feeder_is_back_and_a_lamp_that_stays_dark_gets_its_own_ticket(pool: Any) -> None:
    await register_street(pool, LAMPS[:10], circuit="XH-01")
    street = await coordinated(pool)
    await go_dark(street, LAMPS[:10])
    await street.decide()
    await street.wait(minutes=30)
    await burn(street, LAMPS[1:])
    await street.decide()
    assert await street.incidents() == [("streetlight.circuit_dark", "XH-01", "closed", 10, 1)]
    assert [ticket[:3] for ticket in await street.tickets()] == [("0137-98", "resolved", 0)]
    await street.wait(minutes=9)
    assert len(await street.tickets()) == 1, "it may yet come back by itself"
    await street.wait(minutes=2)
    assert [ticket[:3] for ticket in await street.tickets()] == [("0137-98", "resolved", 0), ("0137-3", "open", 1)]
    await burn(street, LAMPS[:1])
    await street.decide()
    assert (await street.tickets())[1][:3] == ("0137-3", "resolved", 0)
    assert await pool.fetchval("SELECT count(*) FROM group_alert") == 0


async def test_a_second_outage_of_the_same_feeder_is_a_second_incident(pool: Any) -> None:
    await register_street(pool, LAMPS[:6], circuit="XH-01")
    street = await coordinated(pool)
    for _ in range(2):
        await go_dark(street, LAMPS[:6])
        await street.decide()
        await street.wait(hours=1)
        await burn(street, LAMPS[:6])
        await street.decide()
        await street.wait(hours=1)
    assert [row[2] for row in await street.incidents()] == ["closed", "closed"]
    assert [ticket[:3] for ticket in await street.tickets()] == [("0137-98", "resolved", 0)] * 2


async def test_a_ticket_that_a_lamp_had_already_is_linked_and_not_taken_away(pool: Any) -> None:
    await register_street(pool, LAMPS[:6], circuit="XH-01")
    street = await coordinated(pool)
    await go_dark(street, LAMPS[:1])
    await street.wait(minutes=11)
    await go_dark(street, LAMPS[1:])
    await street.decide()
    [lamp, circuit] = await pool.fetch("SELECT id, number, case_class, state FROM ticket ORDER BY id")
    assert (lamp["case_class"], lamp["state"], circuit["case_class"]) == ("0137-3", "open", "0137-98")
    moves = await pool.fetch("SELECT move, detail FROM ticket_move WHERE ticket_id = $1 ORDER BY id", lamp["id"])
    assert [row["move"] for row in moves] == ["opened", "linked"]
    assert circuit["number"] in moves[1]["detail"].decode()
    assert (await street.incidents())[0][3] == 6


async def test_a_tilt_and_a_flood_near_each_other_are_one_incident_in_the_covers_ticket(pool: Any) -> None:
    await register_street(pool, ["M-1"], "manhole", longitude=107.5, latitude=31.2)
    await register_street(pool, ["M-2"], "manhole", longitude=107.501, latitude=31.2)
    await register_street(pool, ["M-3"], "manhole", longitude=107.6, latitude=31.2)
    street = await coordinated(pool)
    await street.tell(told("M-2", NOW, "manhole", free_height_m=0.05), told("M-3", NOW, "manhole", free_height_m=0.05))
    await street.decide()
    await street.tell(told("M-1", NOW + 5 * MINUTE, "manhole", tilt_deg=95.0))
    [tilted] = await pool.fetch(
        "SELECT t.number FROM ticket t JOIN alert a ON a.ticket_id = t.id WHERE a.rule = 'manhole.tilt'"
    )
    await street.decide()
    assert await street.incidents() == [("manhole.washed_open", "", "open", 2, 2)]
    head = await pool.fetchrow(
        "SELECT t.number, t.severity, a.severity AS own, d.name FROM alert a JOIN ticket t ON t.id = a.ticket_id "
        "JOIN device d ON d.id = a.device_id WHERE a.rule = 'manhole.washed_open'"
    )
    assert tuple(head) == (tilted["number"], 1, 1, "M-1")
    linked = await pool.fetch("SELECT ticket_id FROM ticket_move WHERE move = 'linked'")
    assert len(linked) == 1, "the flood beside it names the cover's ticket; the one far away does not"


async def test_a_silent_site_is_one_order_for_its_gateway(pool: Any) -> None:
    await register_street(pool, LAMPS[:5], site="S-1")
    await register_street(pool, ["B-1"], "bin", site="S-1")
    street = await coordinated(pool)
    await street.tell(*(told(name, NOW - timedelta(hours=2), volt_v=221.0) for name in LAMPS[:5]))
    heard = {"native": Coverage(NOW - timedelta(hours=3), NOW)}
    assert await street.ticker.look(NOW, heard)
    await street.decide()
    assert await street.incidents() == [("site.silent", "S-1", "open", 5, 5)], "the bin is of another kind"
    assert [ticket[:3] for ticket in await street.tickets()] == [("M-gateway", "open", 1)]


BREAKER = Rule(
    "breaker.tripped",
    "Breaker tripped",
    "断路器跳闸",
    Group(
        members=("streetlight.leakage",),
        by=By.CIRCUIT,
        severity=Severity.CRITICAL,
        at_least=1,
        within_s=600.0,
        group_wait_s=300.0,
        inhibits=("streetlight.lamp_failure", "streetlight.voltage_low"),
    ),
    case_class="0137-97",
)


async def test_a_dark_feeder_hides_its_lamps_and_no_others(pool: Any) -> None:
    await register_street(pool, LAMPS[:4], circuit="XH-01")
    await register_street(pool, LAMPS[4:5], circuit="XH-02")
    street = await coordinated(pool, rules=[BREAKER])
    await go_dark(street, LAMPS[1:2])
    await street.tell(told(LAMPS[0], NOW, leak_ma=150.0))
    await street.decide()
    await go_dark(street, LAMPS[2:5])
    await street.decide()
    reasons = await pool.fetch("SELECT reason, count(*) FROM alert_mute GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in reasons] == [("group_wait", 5), ("incident", 1), ("inhibition", 3)]
    await street.wait(hours=1)
    assert [ticket[0] for ticket in await street.tickets()] == ["0137-97", "0137-3"], (
        "the other circuit's lamp has its own"
    )
    await street.tell(told(LAMPS[0], street.clock.time, leak_ma=1.0))
    await street.decide()
    await street.wait(minutes=6)
    assert [ticket[0] for ticket in await street.tickets()] == ["0137-97", *["0137-3"] * 4]


async def test_rules_that_are_no_more_let_go_of_what_they_held(pool: Any) -> None:
    await register_street(pool, LAMPS[:4], circuit="XH-01")
    street = await coordinated(pool, rules=[BREAKER])
    await street.tell(told(LAMPS[0], NOW, leak_ma=150.0))
    await go_dark(street, LAMPS[1:3])
    await street.decide()
    later = await coordinated(pool)
    async with pool.acquire() as connection:
        await later.look.drop_other_rules(connection, NOW)
    await later.wait(minutes=6)
    assert await later.incidents() == [("breaker.tripped", "XH-01", "closed", 3, 3)]
    assert [ticket[:2] for ticket in await later.tickets()] == [
        ("0137-97", "resolved"),
        ("0137-99", "open"),
        ("0137-3", "open"),
        ("0137-3", "open"),
    ]
