"""An alert that opens and clears again and again is announced once, keeps one ticket, and is calmed."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from domain.role import Role
from service.calming import Calming
from tests.support.api import StillClock, client
from tests.support.flow import flow_on
from tests.support.street import NOW, Street, street

HOUR = timedelta(hours=1)


def at(minutes: float) -> Any:
    """A moment of the last hour."""
    return NOW - timedelta(minutes=59) + timedelta(minutes=minutes)


async def swing(scene: Street, minutes: float, device: str = "DC-1") -> None:
    """Methane above its high alarm, and below its clear level half a minute later."""
    await scene.tell(at(minutes), device, ch4_pct_lel=60.0)
    await scene.tell(at(minutes + 0.5), device, ch4_pct_lel=1.0)


async def calm(scene: Street, now: Any) -> None:
    await Calming(scene.pool, scene.flow._parts.cases).look(now)  # pyright: ignore[reportPrivateUsage]


async def flags(pool: Any) -> list[bool]:
    return [row[0] for row in await pool.fetch("SELECT flapping FROM alert ORDER BY onset")]


async def told(pool: Any) -> list[tuple[str, bool]]:
    bodies = [
        orjson.loads(row[0]) for row in await pool.fetch("SELECT body FROM outbox WHERE topic = 'alert' ORDER BY id")
    ]
    return [(body["step"], body.get("flapping", False)) for body in bodies]


async def test_the_fifth_opening_is_announced_once_and_its_ticket_stays(pool: Any) -> None:
    scene = await street(pool)
    for number in range(4):
        await swing(scene, number)
    assert await scene.tickets() == [("resolved", 1, 0)] * 4
    assert await flags(pool) == [False] * 4
    await swing(scene, 4)
    assert await flags(pool) == [True] * 5
    assert await scene.tickets() == [*[("resolved", 1, 0)] * 4, ("open", 1, 0)]
    for number in range(5, 9):
        await swing(scene, number)
    assert await scene.tickets() == [*[("resolved", 1, 0)] * 4, ("open", 1, 0)], "one ticket, and not one a swing"
    assert await pool.fetchval("SELECT alerts FROM ticket WHERE state = 'open'") == 5
    news = await told(pool)
    assert [step for step, _ in news].count("flapping") == 1
    assert news[8:11] == [("opened", True), ("flapping", True), ("cleared", True)]
    assert all(marked for _, marked in news[8:])
    async with client(pool, Role.VIEWER) as http:
        assert len((await http.get("/v1/alerts?state=all&flapping=true")).json()["items"]) == 9
        assert (await http.get("/v1/alerts?state=all&flapping=false")).json()["items"] == []


async def test_it_is_calm_when_it_has_not_opened_for_the_look_back(pool: Any) -> None:
    scene = await street(pool)
    for number in range(5):
        await swing(scene, number)
    await calm(scene, at(4) + HOUR - timedelta(seconds=1))
    assert (await scene.tickets())[-1] == ("open", 1, 0)
    await calm(scene, at(4) + HOUR)
    assert (await scene.tickets())[-1] == ("resolved", 1, 0)
    assert await pool.fetchval("SELECT count(*) FROM ticket_subject WHERE open") == 0
    assert await flags(pool) == [False] * 5
    assert (await told(pool))[-1] == ("calm", False)
    moves = [row[0] for row in await pool.fetch("SELECT move FROM ticket_move WHERE ticket_id = 5 ORDER BY id")]
    assert moves == ["opened", "touched", "resolved"]
    await calm(scene, at(4) + 2 * HOUR)
    assert [step for step, _ in await told(pool)].count("calm") == 1


async def test_what_still_fires_when_it_is_calm_keeps_its_ticket_and_resolves_it_later(pool: Any) -> None:
    scene = await street(pool)
    for number in range(5):
        await swing(scene, number)
    await scene.tell(at(6), ch4_pct_lel=60.0)
    await calm(scene, at(4) + HOUR)
    assert (await scene.tickets())[-1] == ("open", 1, 1), "it opened once more since"
    await calm(scene, at(6) + HOUR)
    assert (await scene.tickets())[-1] == ("open", 1, 1)
    assert await flags(pool) == [False] * 6
    await scene.tell(at(58), ch4_pct_lel=1.0)
    assert (await scene.tickets())[-1] == ("resolved", 1, 0)


async def test_a_slower_swing_keeps_it_flapping_and_after_a_calm_it_counts_anew(pool: Any) -> None:
    scene = await street(pool)
    for number in range(5):
        await swing(scene, number / 2)
    await swing(scene, 50)  # no five within the hour, and no hour without one
    await calm(scene, at(2) + HOUR)
    assert (await scene.tickets())[-1] == ("open", 1, 0)
    await calm(scene, at(50) + HOUR)
    assert (await scene.tickets())[-1] == ("resolved", 1, 0)
    await pool.execute("UPDATE alert SET onset = onset - $1::interval, fired_at = fired_at - $1::interval", HOUR)
    await swing(scene, 55)
    assert await flags(pool) == [False] * 7


async def test_two_rules_and_two_devices_are_counted_apart(pool: Any) -> None:
    scene = await street(pool, "DC-1", "DC-2")
    for number in range(4):
        await swing(scene, number)
        await scene.tell(at(number), "DC-2", lid_open=True)
        await scene.tell(at(number + 0.25), "DC-2", lid_open=True, ch4_pct_lel=60.0)
        await scene.tell(at(number + 0.5), "DC-2", lid_open=False, ch4_pct_lel=1.0)
    assert not any(await flags(pool))
    await swing(scene, 5, "DC-2")
    rows = await pool.fetch("SELECT DISTINCT device_id, rule FROM alert WHERE flapping")
    assert [tuple(row) for row in rows] == [(2, "manhole.methane")]


async def test_what_is_past_when_it_is_learnt_of_is_not_announced(pool: Any) -> None:
    """A gateway hands in its history of yesterday: nothing flaps now."""
    scene = await street(pool)
    for number in range(8):
        await swing(scene, number - 24 * 60)
    assert not any(await flags(pool))
    assert await scene.tickets() == [("resolved", 1, 0)] * 8


@pytest.mark.parametrize("deliveries", [1, 2])
async def test_all_of_it_in_one_batch_is_found_as_well_and_once_if_it_comes_twice(pool: Any, deliveries: int) -> None:
    scene = await street(pool)
    for worker in range(deliveries):
        flow = await flow_on(pool, f"worker-{worker}", StillClock(NOW))
        scene = Street(pool, flow, scene.unmuting)
        await scene.tell_all(
            [(at(number + half / 2), 60.0 if half == 0 else 1.0) for number in range(6) for half in (0, 1)]
        )
    assert await flags(pool) == [False, True, True, True, True, True]
    assert await scene.tickets() == [("open", 1, 0)]
    assert [step for step, _ in await told(pool)].count("flapping") == 1


async def test_late_readings_that_contradict_an_opening_leave_one_ticket_that_ends(pool: Any) -> None:
    scene = await street(pool)
    for number in range(5):
        await scene.tell(at(number), tilt_deg=20.0)
        await scene.tell(at(number + 0.6), tilt_deg=20.0)
        await scene.tell(at(number + 0.8), tilt_deg=1.0)
    assert await flags(pool) == [True] * 5
    await scene.tell(at(4.2), tilt_deg=1.0)  # the last of them never held for thirty seconds
    standings = [row[0] for row in await pool.fetch("SELECT standing FROM alert ORDER BY onset")]
    assert standings == ["upheld"] * 4 + ["contradicted"]
    await calm(scene, NOW + 2 * HOUR)
    assert await flags(pool) == [False] * 5
    state = await pool.fetchrow("SELECT state, review FROM ticket ORDER BY id DESC LIMIT 1")
    assert tuple(state) == ("open", True), "a person decides, as on any ticket that has only contradicted alerts"
    await swing(scene, 58)
    assert await pool.fetchval("SELECT count(*) FROM ticket WHERE case_class = 'E05-02'") == 1
