"""Incidents under load: workers, coordinator and unmuting interleave, and every alert is accounted for."""

import asyncio
import random
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from service.flow import Flow
from store.failures import Failure, failure_of
from tests.support.circuits import NOW, Coordinated, coordinated, register_street, told

CIRCUITS = 4
LAMPS = {f"L-{circuit}-{number}": f"XH-{circuit}" for circuit in range(CIRCUITS) for number in range(8)}
ROUNDS = 30

UNACCOUNTED = """
SELECT a.id FROM alert a WHERE a.state = 'firing' AND a.ticket_id IS NULL
   AND NOT EXISTS (SELECT FROM alert_mute m WHERE m.alert_id = a.id AND m.ended_at IS NULL)
"""
WRONG_COUNTS = """
SELECT t.id FROM ticket t WHERE t.firing <> (
    SELECT count(*) FROM alert a WHERE a.ticket_id = t.id AND a.state = 'firing')
   OR (t.state = 'open') <> (t.firing > 0)
"""
STANDING = """
SELECT count(*) FILTER (WHERE g.alert_id IS NULL), count(*) FROM alert a
  LEFT JOIN (SELECT DISTINCT alert_id FROM group_alert) g ON g.alert_id = a.id
 WHERE a.state = 'firing' AND a.rule = 'streetlight.lamp_failure'
"""
MEMBERS = """
SELECT i.name, i.firing, (SELECT count(*) FROM group_alert g WHERE g.incident_id = i.id) AS held
  FROM incident i WHERE i.state = 'open' ORDER BY i.name
"""


async def persist(attempt: Any) -> Any:
    """A deadlock ends one of two transactions; whoever was ended tries again, as a worker does."""
    while True:
        try:
            return await attempt()
        except Exception as error:
            if failure_of(error) is not Failure.TRY_AGAIN:
                raise
            await asyncio.sleep(0.01)


async def work(street: Coordinated, number: int, flow: Flow, chance: random.Random) -> None:
    """One worker's lamps, each told by it alone: dark, dark a minute later, or lit again."""
    mine = [name for place, name in enumerate(LAMPS) if place % 2 == number]
    for turn in range(ROUNDS):
        names = chance.sample(mine, chance.randint(1, len(mine)))
        lit = chance.random() < 0.4
        at = NOW + timedelta(minutes=2 * turn)
        for moment in (at, at + timedelta(minutes=1)):
            batch = [told(name, moment, lamp_failure=not lit) for name in names]
            token = 1000 * turn + moment.minute
            await persist(partial(flow.settle, batch, token))
        await asyncio.sleep(chance.random() / 20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_whatever_interleaves_every_alert_is_accounted_for(pool: Any, seed: int) -> None:
    chance = random.Random(seed)
    for circuit in range(CIRCUITS):
        await register_street(
            pool, [name for name, on in LAMPS.items() if on == f"XH-{circuit}"], circuit=f"XH-{circuit}"
        )
    street = await coordinated(pool, workers=2)
    street.clock.time = NOW + timedelta(minutes=2 * ROUNDS + 1)
    done = asyncio.Event()

    async def beside(piece: Any) -> None:
        while not done.is_set():
            await persist(piece)
            await asyncio.sleep(0.005)

    async def pass_time() -> None:
        street.clock.time += timedelta(seconds=20)
        await street.unmuting.look(street.clock.time)

    others = [asyncio.create_task(beside(piece)) for piece in (street.decide, pass_time)]
    await asyncio.gather(
        *(work(street, number, flow, random.Random(seed * 10 + number)) for number, flow in enumerate(street.flows))
    )
    done.set()
    await asyncio.gather(*others)
    # A few at the end are certain to fire, and all that waits has waited long enough.
    last = chance.sample(sorted(LAMPS), 5)
    for minutes in (2, 1):
        await street.tell(
            *(told(name, street.clock.time - timedelta(minutes=minutes), lamp_failure=True) for name in last)
        )
    await street.decide()
    assert await pool.fetch(UNACCOUNTED) == []
    await street.wait(hours=1)
    await street.decide()
    assert await pool.fetch(UNACCOUNTED) == []
    assert await pool.fetch(WRONG_COUNTS) == []
    missing, firing = await pool.fetchrow(STANDING)
    assert (missing, firing >= 5) == (0, True)
    for row in await pool.fetch(MEMBERS):
        assert row["firing"] == row["held"] >= 3, row["name"]
    assert await pool.fetchval("SELECT count(*) > 3 FROM incident WHERE state = 'closed'"), (
        "the run must show something"
    )
    twice = "SELECT name FROM incident WHERE state = 'open' GROUP BY rule, name HAVING count(*) > 1"
    assert await pool.fetch(twice) == []
