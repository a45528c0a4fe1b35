"""Silences: ordered over HTTP, they mute what they fit from then on and what fires already, and lose nothing."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.role import Role
from tests.support.api import StillClock, client
from tests.support.street import NOW, Street, street

SCOPES = {
    "device": ("DC-1", "DC-2"),
    "asset": ("asset-DC-1", "asset-DC-2"),
    "model": ("M-1", "M-2"),
    "owner": ("排水公司", "电力公司"),
    "grid": ("511703001002015", "511703001002016"),
    "circuit": ("C-1", "C-2"),
    "site": ("S-1", "S-2"),
    "kind": ("manhole", "bin"),
    "rule": ("manhole.tilt", "manhole.overflow"),
}
"""Part of a scope → what is so of DC-1, and another that there is."""


async def two_covers(pool: Any) -> Street:
    """DC-1, of which every part of a scope is told, and a DC-2 that has nothing in common but what all covers have."""
    scene = await street(pool, "DC-1", "DC-2")
    for place in (0, 1):
        told = {name: values[place] for name, values in SCOPES.items()}
        await pool.execute("UPDATE device SET model = $2 WHERE name = $1", told["device"], told["model"])
        await pool.execute(
            "UPDATE asset SET owner = $2, unit_grid = $3, circuit = $4, site = $5 WHERE name = $1",
            told["asset"],
            told["owner"],
            told["grid"],
            told["circuit"],
            told["site"],
        )
    return scene


async def order(http: httpx.AsyncClient, minutes: float = 30, **body: Any) -> dict[str, Any]:
    ends_at = (NOW + timedelta(minutes=minutes)).isoformat()
    answer = await http.post("/v1/silences", json={"ends_at": ends_at, "reason": "road works", **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def tilt(scene: Street, device: str = "DC-1", degrees: float = 95.0) -> None:
    await scene.tell(NOW - timedelta(seconds=20), device, tilt_deg=degrees)


async def silenced(pool: Any) -> set[str]:
    rows = await pool.fetch(
        "SELECT DISTINCT d.name FROM alert_mute m JOIN alert a ON a.id = m.alert_id "
        "JOIN device d ON d.id = a.device_id WHERE m.ended_at IS NULL"
    )
    return {row[0] for row in rows}


async def without_ticket(pool: Any) -> list[tuple[str, str]]:
    rows = await pool.fetch(
        "SELECT d.name, a.rule FROM alert a JOIN device d ON d.id = a.device_id WHERE a.ticket_id IS NULL ORDER BY 1, 2"
    )
    return [(row[0], row[1]) for row in rows]


@pytest.mark.parametrize("part", SCOPES)
async def test_a_silence_mutes_what_every_part_of_its_scope_fits(pool: Any, part: str) -> None:
    scene = await two_covers(pool)
    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        beside = {"asset": "asset-DC-1"} if part == "device" else {"device": "DC-1"}
        await order(http, scope={part: SCOPES[part][1], **beside})
        mine = await order(http, scope={part: SCOPES[part][0], **beside})
    await tilt(scene, "DC-1")
    await tilt(scene, "DC-2")
    sources = await pool.fetch("SELECT source, reason FROM alert_mute")
    assert [tuple(row) for row in sources] == [(str(mine["id"]), "silence")]
    assert await silenced(pool) == {"DC-1"}
    assert "0101-1" in {row[0] for row in await pool.fetch("SELECT case_class FROM ticket")}, "the other cover's"
    assert await without_ticket(pool) == [("DC-1", "manhole.tilt")]


async def test_what_fires_when_a_silence_ends_has_its_ticket_then(pool: Any) -> None:
    scene = await street(pool)
    clock = StillClock(NOW)
    async with client(pool, Role.OPERATOR, clock) as http:
        made = await order(http, scope={"device": "DC-1"})
        await tilt(scene)
        assert await scene.tickets() == []
        shown = (await http.get("/v1/silences")).json()["items"]
        assert [(one["id"], one["state"], one["author"]) for one in shown] == [(made["id"], "active", "test operator")]
        assert shown[0]["hidden"] == {"alerts": 1, "wanted_tickets": 1, "muted_now": 1}
        await scene.chores(NOW + timedelta(minutes=30))
        assert await scene.tickets() == [("open", 1, 1)]
        clock.time = NOW + timedelta(minutes=31)
        shown = (await http.get(f"/v1/silences/{made['id']}")).json()
        assert (shown["state"], shown["hidden"]["wanted_tickets"], shown["hidden"]["muted_now"]) == ("ended", 1, 0)
        assert (await http.get("/v1/silences?state=active")).json()["items"] == []
        assert len((await http.get("/v1/silences?state=ended&device=DC-1")).json()["items"]) == 1
        hidden = (await http.get(f"/v1/silences/{made['id']}/hidden")).json()["items"]
        assert [one["rule"] for one in hidden] == ["manhole.tilt"]


async def test_what_fires_already_is_muted_and_keeps_the_ticket_that_it_has(pool: Any) -> None:
    scene = await street(pool)
    await scene.tell(NOW - timedelta(minutes=3), tilt_deg=20.0, ch4_pct_lel=30.0)
    await scene.tell(NOW - timedelta(minutes=2), tilt_deg=20.0, ch4_pct_lel=30.0)
    assert await scene.tickets() == [("open", 2, 1)]
    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        made = await order(http, scope={"device": "DC-1"})
        await scene.chores(NOW)
        hidden = (await http.get(f"/v1/silences/{made['id']}")).json()["hidden"]
        assert hidden == {"alerts": 2, "wanted_tickets": 0, "muted_now": 2}
        await scene.tell(NOW - timedelta(minutes=1), tilt_deg=95.0, ch4_pct_lel=60.0)
        assert await scene.tickets() == [("open", 2, 1)], "it does not rise, and the gas asks for none"
        await http.post(f"/v1/silences/{made['id']}/end")
    await scene.chores(NOW)
    assert sorted(await scene.tickets()) == [("open", 1, 1), ("open", 1, 1)]


async def test_a_planned_silence_waits_for_its_time(pool: Any) -> None:
    scene = await street(pool)
    start = NOW + timedelta(minutes=10)
    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        made = await order(http, scope={"kind": "manhole"}, starts_at=start.isoformat())
        assert made["state"] == "planned"
    await scene.chores(NOW)
    await tilt(scene)
    assert await silenced(pool) == set()
    await scene.chores(start)
    assert await silenced(pool) == {"DC-1"}


async def test_one_ended_before_its_time_mutes_nothing_more_and_ends_once(pool: Any) -> None:
    scene = await street(pool)
    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        made = await order(http, scope={"device": "DC-1"})
        await tilt(scene)
        ended = (await http.post(f"/v1/silences/{made['id']}/end")).json()
        assert (ended["state"], ended["ended_by"]) == ("ended", "test operator")
        again = await http.post(f"/v1/silences/{made['id']}/end")
        assert (again.status_code, again.json()["detail"]) == (409, f"The silence {made['id']} has ended.")
    await scene.chores(NOW)
    assert await scene.tickets() == [("open", 1, 1)]
    await tilt(scene, degrees=1.0)
    await scene.tell(NOW - timedelta(seconds=5), lid_open=True)
    await scene.tell(NOW - timedelta(seconds=1), lid_open=True)
    assert await silenced(pool) == set()


async def test_what_a_batch_muted_while_the_silence_ended_is_found_by_the_sweep(pool: Any) -> None:
    """The batch read the silence before the end of it was committed, and commits after it."""
    scene = await street(pool)
    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        made = await order(http, scope={"device": "DC-1"})
        await http.post(f"/v1/silences/{made['id']}/end")
        await scene.chores(NOW)
    await pool.execute("UPDATE silence SET ended_at = NULL")
    await tilt(scene)
    await pool.execute("UPDATE silence SET ended_at = $1", NOW)
    assert await silenced(pool) == {"DC-1"}
    await scene.chores(NOW + timedelta(seconds=61))
    assert await silenced(pool) == set()
    assert await scene.tickets() == [("open", 1, 1)]
    assert await pool.fetchval("SELECT sweep_due FROM silence") is None


async def test_an_alert_that_fired_within_a_silence_and_is_found_after_it_asks_a_moment_later(pool: Any) -> None:
    """The service was away: what a crew did at ten is worked off at twelve."""
    scene = await street(pool)
    async with client(pool, Role.OPERATOR, StillClock(NOW - timedelta(hours=2))) as http:
        await order(http, minutes=-60, scope={"device": "DC-1"})
    await scene.tell(NOW - timedelta(minutes=90), lid_open=True)
    await scene.tell(NOW - timedelta(minutes=89), lid_open=True)
    assert await scene.tickets() == []
    await scene.tell(NOW - timedelta(minutes=80), lid_open=False)
    await scene.chores(NOW)
    assert await scene.tickets() == [], "it was shut again"
    await scene.tell(NOW - timedelta(minutes=70), lid_open=True)
    await scene.tell(NOW - timedelta(minutes=69), lid_open=True)
    await scene.chores(NOW)
    assert await scene.tickets() == [("open", 1, 1)], "and then left open"


async def test_an_order_that_cannot_be_is_refused_with_the_field_that_is_wrong(pool: Any) -> None:
    await street(pool)
    later = (NOW + timedelta(hours=1)).isoformat()

    async def refusal(**body: Any) -> dict[str, str]:
        answer = await http.post("/v1/silences", json={"ends_at": later, "reason": "x", **body})
        assert answer.status_code == 422, answer.text
        return {one["field"]: one["expected"] for one in answer.json()["errors"]}

    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        assert await refusal(scope={"device": "DC-9", "rule": "manhole.tild"}) == {
            "scope.device": "the name of a device, not 'DC-9'",
            "scope.rule": "the key of a rule, not 'manhole.tild'",
        }
        assert "at least one of device, asset" in str(await refusal(scope={}))
        scope = {"device": "DC-1"}
        far = (NOW + timedelta(days=91)).isoformat()
        assert await refusal(scope=scope, ends_at=far) == {"ends_at": "after its start and now, by at most 90 days"}
        past = (NOW - timedelta(hours=1)).isoformat()
        assert "ends_at" in await refusal(scope=scope, ends_at=past)
        assert await refusal(scope=scope, starts_at=past) == {
            "starts_at": "now or later: what was decided before cannot be silenced"
        }
        assert "reason" in await refusal(scope=scope, reason=" ")
        assert (await http.get("/v1/silences/9")).status_code == 404
        assert (await http.post("/v1/silences/9/end")).status_code == 404
    assert await pool.fetchval("SELECT count(*) FROM silence") == 0


async def test_orders_and_ends_are_told(pool: Any) -> None:
    await street(pool)
    async with client(pool, Role.ENGINEER, StillClock(NOW)) as http:
        made = await order(http, scope={"device": "DC-1"})
        await http.post(f"/v1/silences/{made['id']}/end")
    rows = await pool.fetch("SELECT body ->> 'step', body ->> 'by' FROM outbox WHERE topic = 'silence' ORDER BY id")
    assert [tuple(row) for row in rows] == [("made", "test engineer"), ("ended", "test engineer")]


class TestCheckIn:
    """A crew at work on one cover."""

    async def check_in(self, http: httpx.AsyncClient, asset: str = "asset-DC-1", **body: Any) -> httpx.Response:
        return await http.post(
            f"/v1/assets/{asset}/check-in", json={"by": "crew 3", "minutes": 60, "work": "silt trap", **body}
        )

    async def test_it_keeps_tamper_alarms_of_that_cover_quiet_and_no_gas(self, pool: Any) -> None:
        scene = await street(pool, "DC-1", "DC-2")
        async with client(pool, Role.HANDLER, StillClock(NOW)) as http:
            made = (await self.check_in(http)).raise_for_status().json()
            assert (made["kind"], made["crew"], made["scope"]["asset"]) == ("maintenance", "crew 3", "asset-DC-1")
            for device in ("DC-1", "DC-2"):
                await scene.tell(NOW - timedelta(seconds=10), device, lid_open=True, tilt_deg=95.0, ch4_pct_lel=60.0)
                await scene.tell(NOW - timedelta(seconds=5), device, lid_open=True, tilt_deg=95.0, ch4_pct_lel=60.0)
            assert await without_ticket(pool) == [("DC-1", "manhole.open"), ("DC-1", "manhole.tilt")]
            out = await http.post("/v1/assets/asset-DC-1/check-out", json={"by": "crew 3"})
            assert [one["state"] for one in out.raise_for_status().json()] == ["ended"]
        await scene.chores(NOW)
        assert await pool.fetchval("SELECT count(*) FROM alert WHERE ticket_id IS NULL") == 0, "the cover was left open"

    async def test_a_shut_cover_leaves_no_ticket_behind(self, pool: Any) -> None:
        scene = await street(pool)
        async with client(pool, Role.HANDLER, StillClock(NOW)) as http:
            await self.check_in(http)
            await scene.tell(NOW - timedelta(seconds=10), lid_open=True)
            await scene.tell(NOW - timedelta(seconds=5), lid_open=True)
            await scene.tell(NOW - timedelta(seconds=1), lid_open=False)
            await http.post("/v1/assets/asset-DC-1/check-out")
        await scene.chores(NOW)
        assert await scene.tickets() == []

    async def test_the_same_crew_once_more_stays_longer_and_another_is_its_own(self, pool: Any) -> None:
        scene = await street(pool)
        clock = StillClock(NOW)
        async with client(pool, Role.HANDLER, clock) as http:
            first = (await self.check_in(http, minutes=10)).json()
            await tilt(scene)
            clock.time = NOW + timedelta(minutes=9)
            longer = (await self.check_in(http, minutes=30)).json()
            assert longer["id"] == first["id"]
            await scene.chores(NOW + timedelta(minutes=20))
            assert await scene.tickets() == []
            other = (await self.check_in(http, by="crew 4", minutes=60)).json()
            assert other["id"] != first["id"]
            await scene.chores(NOW + timedelta(minutes=45))
            assert await scene.tickets() == [], "the other crew is still there"
            await scene.chores(NOW + timedelta(minutes=70))
        assert await scene.tickets() == [("open", 1, 1)]

    async def test_what_cannot_be_is_refused(self, pool: Any) -> None:
        await street(pool)
        async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
            assert (await self.check_in(http, "asset-DC-9")).json()["detail"] == "There is no asset asset-DC-9."
            both = await self.check_in(http, until=NOW.isoformat())
            assert "exactly one of until, minutes" in both.text
            late = await self.check_in(http, minutes=None, until=(NOW + timedelta(hours=25)).isoformat())
            assert late.json()["errors"] == [{"field": "until", "expected": "later than now, by at most 24 hours"}]
            gone = await http.post("/v1/assets/asset-DC-1/check-out", json={"by": "crew 3"})
            assert (gone.status_code, gone.json()["detail"]) == (404, "crew 3 is not checked in at asset-DC-1.")
            nobody = await http.post("/v1/assets/asset-DC-1/check-out")
            assert nobody.json()["detail"] == "Nobody is checked in at asset-DC-1."
            assert (await http.post("/v1/assets/no/check-out")).status_code == 404
        async with client(pool, Role.VIEWER) as http:
            assert (await self.check_in(http)).status_code == 403


async def test_planned_maintenance_of_a_group_keeps_quiet_what_crews_set_off_or_the_rule_that_it_names(
    pool: Any,
) -> None:
    scene = await two_covers(pool)
    async with client(pool, Role.OPERATOR, StillClock(NOW)) as http:
        await order(http, kind="maintenance", scope={"site": "S-1"})
        await order(http, kind="maintenance", scope={"site": "S-2", "rule": "manhole.methane"})
    for device in ("DC-1", "DC-2"):
        await scene.tell(NOW - timedelta(seconds=10), device, tilt_deg=95.0, ch4_pct_lel=60.0)
    assert await without_ticket(pool) == [("DC-1", "manhole.tilt"), ("DC-2", "manhole.methane")]
