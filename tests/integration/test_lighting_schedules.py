"""Lighting schedules over HTTP, and lamps judged by them on the way of a message."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from ingest.delivery import Delivery
from rules.kinds.expected import Expected, Placed
from service.cases import Cases
from service.known import Known, KnownDevices
from service.ticker import Ticker
from store.registry import AssetEntry, DeviceEntry, Saved, save
from tests.support.api import StillClock, client
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import topic

GRID = "511703001002015"
EVENING = datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
"""21:00 in Beijing."""
SEASONS = [{"from": "01-01", "on": "18:00", "off": "06:00"}]
DISTRICT = {"scope": "district", "name": "511703"}
SCHEDULE = "/v1/lighting-schedules/{}"


async def lamps(pool: asyncpg.Pool, *names: str, **asset: Any) -> None:
    where: dict[str, Any] = {"longitude": 107.507, "latitude": 31.196, **asset}
    assets = [AssetEntry(name=f"A-{name}", kind="streetlight", district="511703", **where) for name in names]
    devices = [DeviceEntry(name=name, kind="streetlight", district="511703", asset=f"A-{name}") for name in names]
    assert isinstance(await save(pool, assets, devices, EVENING), Saved)


async def put(http: httpx.AsyncClient, name: str, *groups: dict[str, str], seasons: Any = SEASONS) -> httpx.Response:
    body = {"applies_to": list(groups), "seasons": seasons, "reason": "the city's table"}
    return await http.put(SCHEDULE.format(name), json=body)


async def known_of(pool: asyncpg.Pool, name: str) -> Known:
    async with pool.acquire() as connection:
        found = await KnownDevices(load_kinds()).load(connection, [("native", name)])
    return found["native", name]


async def schedule_of(pool: asyncpg.Pool, name: str) -> str | None:
    condition = (await known_of(pool, name)).plan.rules["streetlight.off_at_night"].condition
    return condition.schedule.name if isinstance(condition, Placed) else None


class Street:
    """One lamp on the way of a message, with its ticker."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool, self.clock, self.token = pool, StillClock(EVENING), 0

    async def open(self) -> "Street":
        kinds = load_kinds()
        cases = Cases(ZONE)
        await cases.start(self.pool, [rule for kind in kinds.values() for rule in kind.rules], EVENING)
        self.flow = await flow_on(self.pool, clock=self.clock)
        self.ticker = Ticker(self.pool, KnownDevices(kinds), cases, LATE_BOUND)
        return self

    async def at(self, minute: float, told_minute: float | None = None, **values: object) -> None:
        """A message, if there are values, received then, and a look of the ticker."""
        self.clock.time = now = EVENING + timedelta(minutes=minute)
        self.token += 1
        if values:
            told = EVENING + timedelta(minutes=minute if told_minute is None else told_minute)
            payload = orjson.dumps({"ts": told.isoformat(), "values": values})
            name = topic("ld-1").replace("/manhole/", "/streetlight/")
            await self.flow.settle([Delivery(name, payload, now, self.token, False, 1)], self.token)
        await self.ticker.look(now, {"native": Coverage(EVENING, now)})

    async def alerts(self) -> list[tuple[str, str, float]]:
        rows = await self.pool.fetch("SELECT rule, state, fired_at FROM alert ORDER BY onset, rule")
        return [(row[0], row[1], (row[2] - EVENING).total_seconds() / 60) for row in rows]


async def test_a_schedule_is_set_listed_changed_and_taken_away(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        assert (await http.get("/v1/lighting-schedules")).json() == {"items": []}
        first = await put(http, "city", DISTRICT, {"scope": "site", "name": "S-1"})
        assert first.status_code == 200, first.text
        shown = first.json()
        assert shown["applies_to"] == [DISTRICT, {"scope": "site", "name": "S-1"}]
        assert shown["seasons"] == [{**SEASONS[0], "dim": []}]
        assert (await http.get(SCHEDULE.format("city"))).json() == shown
        by_sun = [{"from": "03-01", "on": "sunset-10m", "off": "sunrise", "dim": [{"from": "23:30", "pct": 50}]}]
        assert (await put(http, "city", DISTRICT, seasons=by_sun)).json()["seasons"][0]["on"] == "sunset-10m"
        (listed,) = (await http.get("/v1/lighting-schedules")).json()["items"]
        assert listed["applies_to"] == [DISTRICT]
        assert (await http.delete(SCHEDULE.format("city"))).status_code == 204
        for method in ("GET", "DELETE"):
            gone = await http.request(method, SCHEDULE.format("city"))
            assert (gone.status_code, gone.json()["detail"]) == (404, "There is no lighting schedule city.")
    assert await pool.fetchval("SELECT count(*) FROM lighting_schedule_group") == 0


@pytest.mark.parametrize(
    ("groups", "seasons", "field", "expected"),
    [
        (
            [DISTRICT],
            [{"from": "13-01", "on": "18:00", "off": "06:00"}],
            "seasons.0.from",
            "such as 04-01, not '13-01'",
        ),
        ([DISTRICT], [{"from": "01-01", "on": "noon", "off": "06:00"}], "seasons.0.on", "a time of day such as 19:30"),
        ([DISTRICT], SEASONS * 2, "seasons.1.from", "seasons stand in the order of the year"),
        ([DISTRICT], [], "seasons", "at least 1 item"),
        ([], SEASONS, "applies_to", "at least 1 item"),
        ([DISTRICT, DISTRICT], SEASONS, "applies_to.1", "each group once"),
        ([{"scope": "district", "name": "5117"}], SEASONS, "applies_to.0.name", "six digits"),
        ([{"scope": "grid", "name": "5117"}], SEASONS, "applies_to.0.name", "15 digits"),
        ([{"scope": "owner", "name": "x"}], SEASONS, "applies_to.0.scope", "'district', 'grid', 'circuit' or 'site'"),
        ([{"scope": "site", "name": "S-9"}], SEASONS, "applies_to.0", "a group without a schedule; its own is other"),
    ],
)
async def test_what_does_not_fit_is_refused_with_a_sentence(
    pool: asyncpg.Pool, groups: list[dict[str, str]], seasons: Any, field: str, expected: str
) -> None:
    async with client(pool) as http:
        (await put(http, "other", {"scope": "site", "name": "S-9"})).raise_for_status()
        answer = await put(http, "city", *groups, seasons=seasons)
    assert answer.status_code == 422, answer.text
    told = {each["field"]: each["expected"] for each in answer.json()["errors"]}
    assert field in told, told
    assert expected in told[field]
    assert await pool.fetchval("SELECT count(*) FROM lighting_schedule") == 1


async def test_the_narrower_group_has_its_own_schedule(pool: asyncpg.Pool) -> None:
    await lamps(pool, "ld-1", site="S-1", circuit="C-1", unit_grid=GRID)
    async with client(pool) as http:
        assert await schedule_of(pool, "ld-1") is None
        for name, group in (
            ("d", DISTRICT),
            ("g", {"scope": "grid", "name": GRID}),
            ("c", {"scope": "circuit", "name": "C-1"}),
            ("s", {"scope": "site", "name": "S-1"}),
        ):
            (await put(http, name, group)).raise_for_status()
            assert await schedule_of(pool, "ld-1") == name
        for name, left in (("c", "s"), ("s", "g"), ("g", "d"), ("d", None)):
            (await http.delete(SCHEDULE.format(name))).raise_for_status()
            assert await schedule_of(pool, "ld-1") == left


async def test_lamps_near_each_other_share_a_plan_and_far_ones_do_not(pool: asyncpg.Pool) -> None:
    await lamps(pool, "ld-1")
    await lamps(pool, "ld-2", longitude=107.51)
    await lamps(pool, "ld-3", longitude=108.4)
    async with client(pool) as http:
        (await put(http, "city", DISTRICT)).raise_for_status()
    names = ("ld-1", "ld-2", "ld-3")
    async with pool.acquire() as connection:
        found = await KnownDevices(load_kinds()).load(connection, [("native", name) for name in names])
    first, second, third = (found["native", name].plan for name in names)
    assert first is second
    assert first is not third


async def test_a_lamp_that_stays_dark_raises_its_alert_and_ticket_once_a_schedule_says_it_should_burn(
    pool: asyncpg.Pool,
) -> None:
    await lamps(pool, "ld-1")
    street = await Street(pool).open()
    for minute in (0, 15, 30):
        await street.at(minute, lamp_on=False)
    assert await street.alerts() == [], "without a schedule nothing is expected of it"
    async with client(pool) as http:
        (await put(http, "city", DISTRICT)).raise_for_status()
    street = await Street(pool).open()
    await street.at(45, lamp_on=False, power_w=1.2)
    await street.at(60, lamp_on=False, power_w=1.2)
    await street.at(69)
    assert await street.alerts() == []
    await street.at(71)
    assert await street.alerts() == [("streetlight.off_at_night", "firing", 70.0)]
    assert await pool.fetchval("SELECT t.title_zh FROM ticket t JOIN alert a ON a.ticket_id = t.id") == "该亮不亮"
    revision = await pool.fetchval("SELECT r.body FROM rule_revision r JOIN alert a ON a.revision_id = r.id")
    assert orjson.loads(revision)["condition"]["schedule"]["name"] == "city"
    # 10:00 in Beijing: dark by day is no repair.
    await street.at(13 * 60, lamp_on=False)
    assert (await street.alerts())[0][1] == "firing"
    await street.at(24 * 60, lamp_on=True, power_w=90)
    assert await street.alerts() == [("streetlight.off_at_night", "cleared", 70.0)]


async def test_a_late_reading_is_judged_at_its_own_time(pool: asyncpg.Pool) -> None:
    await lamps(pool, "ld-1")
    async with client(pool) as http:
        (await put(http, "city", DISTRICT)).raise_for_status()
    street = await Street(pool).open()
    await street.at(0, lamp_on=False)
    await street.at(16, told_minute=16, lamp_on=False)
    await street.at(26)
    assert await street.alerts() == [("streetlight.off_at_night", "firing", 25.0)]
    await street.at(40, told_minute=8, lamp_on=True)
    assert await pool.fetchval("SELECT standing FROM alert") == "contradicted"


async def test_it_is_explained_why_a_lamp_is_not_judged_and_by_which_schedule_it_is(pool: asyncpg.Pool) -> None:
    await lamps(pool, "ld-1", longitude=None, latitude=None)
    async with client(pool) as http:

        async def told() -> dict[str, Any]:
            rules = (await http.get("/v1/devices/ld-1/rules")).json()["rules"]
            return next(rule for rule in rules if rule["key"] == "streetlight.off_at_night")

        assert (await told())["why"].startswith("Its asset has no position")
        moved = await http.patch("/v1/assets/A-ld-1", json={"longitude": 107.5, "latitude": 31.2})
        moved.raise_for_status()
        assert (await told())["why"].startswith("No lighting schedule is in force for it")
        (await put(http, "city", DISTRICT)).raise_for_status()
        street = await Street(pool).open()
        await street.at(0, lamp_on=False)
        answer = await told()
        assert answer["parameters"]["schedule"]["name"] == "city"
        assert answer["state"] == "pending"
        assert answer["levels"][0]["hold_s"] == 1500


async def test_an_asset_that_is_moved_is_told_to_the_workers(pool: asyncpg.Pool) -> None:
    await lamps(pool, "ld-1")
    heard: list[object] = []
    async with pool.acquire() as listening, pool.acquire() as writing:

        def hear(*told: object) -> None:
            heard.append(told)

        await listening.add_listener("streetwarden_registry", hear)
        for longitude, count in ((107.507, 0), (108.0, 1)):
            await writing.execute("UPDATE asset SET longitude = $1", longitude)
            await listening.execute("SELECT 1")
            assert len(heard) == count
        await listening.reset()


async def test_a_stored_schedule_that_is_no_longer_understood_applies_to_nobody(pool: asyncpg.Pool) -> None:
    await lamps(pool, "ld-1")
    await pool.execute(
        "INSERT INTO lighting_schedule VALUES ('old', '[{\"when\": 1}]', 'x', 'an older version', now())"
    )
    await pool.execute("INSERT INTO lighting_schedule_group VALUES ('district', '511703', 'old')")
    condition = (await known_of(pool, "ld-1")).plan.rules["streetlight.off_at_night"].condition
    assert isinstance(condition, Expected)
