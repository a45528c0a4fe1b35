"""A muted alert is judged and stored as ever and asks for no ticket; when its last mute ends, it asks."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from domain.mute import MuteReason
from domain.role import Role
from store.mutes import end_source
from tests.support.api import client
from tests.support.flow import unmuting_of
from tests.support.registered import register
from tests.support.street import NOW, SOON, Street, street


async def at_warning(pool: Any) -> Street:
    """Methane at its low alarm: an alert that asks for no ticket yet."""
    scene = await street(pool)
    await scene.tell(NOW - timedelta(minutes=9), ch4_pct_lel=30.0)
    assert await scene.tickets() == []
    return scene


async def test_a_muted_alert_rises_without_a_ticket_and_gets_it_when_the_mute_ends(pool: Any) -> None:
    scene = await at_warning(pool)
    assert len(await scene.mute(MuteReason.SILENCE, "7", SOON)) == 1
    await scene.tell(NOW - timedelta(minutes=8), ch4_pct_lel=60.0)
    alert = await pool.fetchrow("SELECT state, severity, ticket_id FROM alert")
    assert tuple(alert) == ("firing", 1, None)
    assert await scene.tickets() == []
    assert await pool.fetchval("SELECT wanted FROM alert_mute")
    assert not await scene.unmuting.look(SOON - timedelta(seconds=1))
    assert await scene.tickets() == [], "not a moment too soon"
    await scene.unmuting.look(SOON)
    assert await scene.tickets() == [("open", 1, 1)]
    assert await scene.steps() == [("opened", False), ("muted", True), ("rose", True), ("unmuted", False)]
    await scene.unmuting.look(SOON + timedelta(hours=1))
    assert len(await scene.tickets()) == 1, "and only once"
    await scene.tell(NOW - timedelta(minutes=7), ch4_pct_lel=1.0)
    assert await scene.tickets() == [("resolved", 1, 0)]


async def test_what_was_grave_while_muted_has_its_ticket_though_it_fell_since(pool: Any) -> None:
    scene = await at_warning(pool)
    await scene.mute(MuteReason.GROUP_WAIT, "circuit 4", SOON)
    await scene.tell(NOW - timedelta(minutes=8), ch4_pct_lel=60.0)
    await scene.tell(NOW - timedelta(minutes=7), ch4_pct_lel=30.0)
    await scene.unmuting.look(SOON)
    assert await scene.tickets() == [("open", 1, 1)], "without the mute it would stand as well, until the alert clears"


async def test_one_that_cleared_in_the_meantime_asks_for_nothing(pool: Any) -> None:
    scene = await at_warning(pool)
    await scene.mute(MuteReason.SILENCE, "7", SOON)
    await scene.tell(NOW - timedelta(minutes=8), ch4_pct_lel=60.0)
    await scene.tell(NOW - timedelta(minutes=7), ch4_pct_lel=1.0)
    await scene.unmuting.look(SOON)
    assert await scene.tickets() == []
    assert await pool.fetchval("SELECT count(*) FROM alert_mute WHERE ended_at IS NULL") == 0
    assert await pool.fetchval("SELECT wanted FROM alert_mute"), "what was hidden is still told"


async def test_an_alert_stays_muted_until_its_last_mute_has_ended(pool: Any) -> None:
    scene = await at_warning(pool)
    await scene.mute(MuteReason.SILENCE, "7", SOON)
    await scene.mute(MuteReason.INHIBITION, "4711", None)
    await scene.tell(NOW - timedelta(minutes=8), ch4_pct_lel=60.0)
    await scene.unmuting.look(SOON + timedelta(days=300))
    assert await scene.tickets() == []
    async with pool.acquire() as connection, connection.transaction():
        await end_source(connection, MuteReason.INHIBITION, "4711", SOON)
    await scene.unmuting.look(SOON)
    assert await scene.tickets() == [("open", 1, 1)]


async def test_a_ticket_that_stands_stays_and_hears_of_the_rise_afterwards(pool: Any) -> None:
    scene = await street(pool)
    await scene.tell(NOW - timedelta(minutes=9), tilt_deg=40.0)
    await scene.tell(NOW - timedelta(minutes=8), tilt_deg=40.0)
    assert await scene.tickets() == [("open", 2, 1)]
    await scene.mute(MuteReason.SILENCE, "7", SOON)
    await scene.tell(NOW - timedelta(minutes=7), tilt_deg=95.0)
    assert await scene.tickets() == [("open", 2, 1)]
    await scene.unmuting.look(SOON)
    assert await scene.tickets() == [("open", 1, 1)]
    moves = [row[0] for row in await pool.fetch("SELECT move FROM ticket_move ORDER BY id")]
    assert moves == ["opened", "rose"]


async def test_a_muted_alert_still_lets_its_ticket_go(pool: Any) -> None:
    scene = await street(pool)
    await scene.tell(NOW - timedelta(minutes=9), lid_open=True)
    await scene.tell(NOW - timedelta(minutes=8), lid_open=True)
    await scene.mute(MuteReason.SILENCE, "7", SOON)
    await scene.tell(NOW - timedelta(minutes=7), lid_open=False)
    assert await scene.tickets() == [("resolved", 1, 0)]


async def test_it_joins_the_ticket_that_stands_for_its_cover(pool: Any) -> None:
    """Two sensors on one cover: the one that is not silenced opens the ticket, the other joins it later."""
    scene = await at_warning(pool)
    await register(pool, "DC-2", asset="asset-DC-1")
    await scene.mute(MuteReason.SILENCE, "7", SOON)
    await scene.tell(NOW - timedelta(minutes=8), ch4_pct_lel=60.0)
    await scene.tell(NOW - timedelta(minutes=8), "DC-2", ch4_pct_lel=60.0)
    assert await scene.tickets() == [("open", 1, 1)]
    await scene.unmuting.look(SOON)
    assert await scene.tickets() == [("open", 1, 2)]


async def test_a_source_ends_all_its_mutes_and_set_again_they_count_anew(pool: Any) -> None:
    scene = await at_warning(pool)
    await scene.mute(MuteReason.INCIDENT, "12", None)
    assert await scene.mute(MuteReason.INCIDENT, "12", None) == [], "nothing has changed"
    async with pool.acquire() as connection, connection.transaction():
        await end_source(connection, MuteReason.INCIDENT, "12", NOW)
    await scene.unmuting.look(NOW)
    assert await pool.fetchval("SELECT ended_at FROM alert_mute") == NOW
    assert len(await scene.mute(MuteReason.INCIDENT, "12", SOON)) == 1
    row = await pool.fetchrow("SELECT until, ended_at FROM alert_mute")
    assert tuple(row) == (SOON, None)


async def test_of_several_workers_one_ends_the_mute_and_none_waits_for_a_busy_device(pool: Any) -> None:
    scene = await at_warning(pool)
    await scene.mute(MuteReason.SILENCE, "7", NOW)
    await scene.tell(NOW - timedelta(minutes=8), ch4_pct_lel=60.0)
    async with pool.acquire() as batch, batch.transaction():
        await batch.execute("SELECT 1 FROM device_state FOR UPDATE")
        assert not await scene.unmuting.look(SOON)
        assert await scene.tickets() == []
    await asyncio.gather(*(unmuting_of(scene.flow).look(SOON) for _ in range(4)))
    assert await scene.tickets() == [("open", 1, 1)]


async def test_the_list_says_why_an_alert_is_muted_and_hides_it_if_asked(pool: Any) -> None:
    scene = await at_warning(pool)
    async with client(pool, Role.VIEWER) as http:
        before = await http.get("/v1/alerts")
        await scene.mute(MuteReason.SILENCE, "7", SOON)
        since = {"changed_since": before.json()["changed"]}
        assert (await http.get("/v1/alerts", headers={"If-None-Match": before.headers["ETag"]})).status_code == 200
        shown = (await http.get("/v1/alerts", params=since)).raise_for_status().json()["items"]
        assert [(one["reason"], one["source"]) for one in shown[0]["muted"]] == [("silence", "7")]
        assert datetime.fromisoformat(shown[0]["muted"][0]["until"]) == SOON
        assert (await http.get("/v1/alerts?muted=false")).json()["items"] == []
        assert len((await http.get("/v1/alerts?muted=true")).json()["items"]) == 1
        assert (await http.get(f"/v1/alerts/{shown[0]['id']}")).json()["muted"] == shown[0]["muted"]
        await scene.unmuting.look(SOON)
        assert (await http.get("/v1/alerts")).json()["items"][0]["muted"] == []
        assert (await http.get("/v1/alerts?muted=true")).json()["items"] == []
