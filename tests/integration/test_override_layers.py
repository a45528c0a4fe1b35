"""What a model or a group sets differently: over HTTP, in effect at once, narrower over wider, kept for what fires."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from domain.role import Role
from ingest.delivery import Delivery
from rules.kinds.threshold import Threshold
from service.cases import Cases
from service.ingest import follow_registry
from service.known import Known, KnownDevices
from service.ticker import Ticker
from store.registry import AssetEntry, DeviceEntry, Saved, save
from tests.support.api import NOW, StillClock, client
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import body, topic, until

GRID = "511703001002015"
TILT = "/v1/rule-overrides/{}/manhole.tilt"
WHY = "heavy lorries"


async def covers(pool: asyncpg.Pool, *names: str, site: str | None = "S-1", model: str | None = "EM310") -> None:
    """Covers of one owner, grid, circuit and site."""
    assets = [
        AssetEntry(
            name=f"A-{name}",
            kind="manhole",
            district="511703",
            owner="排水/污水公司",
            unit_grid=GRID,
            circuit="C-1",
            site=site,
        )
        for name in names
    ]
    devices = [
        DeviceEntry(name=name, kind="manhole", district="511703", model=model, interval_s=60.0, asset=f"A-{name}")
        for name in names
    ]
    assert isinstance(await save(pool, assets, devices, NOW), Saved)


async def known_of(pool: asyncpg.Pool, known: KnownDevices, *names: str) -> list[Known]:
    async with pool.acquire() as connection:
        found = await known.load(connection, [("native", name) for name in names])
    return [found["native", name] for name in names]


def tilt(known: Known) -> Threshold:
    condition = known.plan.rules["manhole.tilt"].condition
    assert isinstance(condition, Threshold)
    return condition


async def set_apart(http: Any, group: str, **parameters: object) -> dict[str, Any]:
    answer = await http.put(TILT.format(group), json={"parameters": parameters, "reason": WHY})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_an_override_is_set_shown_listed_and_taken_back(pool: asyncpg.Pool) -> None:
    await covers(pool, "mh-1", "mh-2")
    await covers(pool, "mh-3", site=None)
    async with client(pool, Role.ENGINEER) as http:
        made = await set_apart(http, "owner/排水/污水公司", major={"limit": 20})
        assert made == {
            "scope": "owner",
            "name": "排水/污水公司",
            "rule": "manhole.tilt",
            "parameters": {"major": {"limit": 20}},
            "author": "test engineer",
            "reason": WHY,
            "updated_at": "2026-11-22T08:00:00Z",
            "devices": 3,
        }
        assert (await set_apart(http, "site/S-1", critical={"limit": 80}))["devices"] == 2
        assert (await set_apart(http, "site/S-1", major={"hold_s": 5}))["parameters"] == {"major": {"hold_s": 5}}
        assert (await set_apart(http, "model/EM310", baseline=2))["devices"] == 3
        assert (await http.get(TILT.format("owner/排水/污水公司"))).json() == made
        for query, names in (
            ({"owner": "排水/污水公司", "model": "EM310"}, ["mh-1", "mh-2", "mh-3"]),
            ({"site": "S-1"}, ["mh-1", "mh-2"]),
            ({"circuit": "C-1", "unit_grid": GRID, "site": "S-2"}, []),
        ):
            listed = (await http.get("/v1/devices", params=query)).json()["items"]
            assert [each["name"] for each in listed] == names
        first = (await http.get("/v1/rule-overrides?limit=2")).json()
        rest = (await http.get("/v1/rule-overrides", params={"limit": 2, "cursor": first["next"]})).json()
        assert [each["scope"] for each in first["items"] + rest["items"]] == ["model", "owner", "site"]
        assert rest["next"] is None
        listed = (await http.get("/v1/rule-overrides?scope=site&name=S-1&rule=manhole.tilt")).json()["items"]
        assert [each["name"] for each in listed] == ["S-1"]
        assert (await http.delete(TILT.format("site/S-1"))).status_code == 204
        for method in ("GET", "DELETE"):
            answer = await http.request(method, TILT.format("site/S-1"))
            assert (answer.status_code, answer.json()["detail"]) == (404, "The site S-1 sets nothing in manhole.tilt.")
        unknown = await http.put(
            "/v1/rule-overrides/site/S-1/manhole.tlt", json={"parameters": {"a": 1}, "reason": "x"}
        )
        assert (unknown.status_code, unknown.json()["detail"]) == (
            404,
            "There is no rule manhole.tlt; /v1/rules lists those in force.",
        )


@pytest.mark.parametrize(
    ("group", "parameters", "field", "expected"),
    [
        ("site/S-1", {"baselin": 1}, "parameters", "no parameter 'baselin'"),
        ("site/S-1", {"major": {"limit": "x"}}, "parameters", "limit must be a number, not 'x'"),
        ("site/S-1", {"notice": {"limit": 1}}, "parameters", "no parameter 'notice'"),
        ("site/S-1", {}, "parameters", "at least 1 item"),
        ("grid/5117", {"baseline": 1}, "name", "15 digits"),
        ("circuit/a%09b", {"baseline": 1}, "name", "without a slash"),
        ("owner/a%09b", {"baseline": 1}, "name", "printable"),
        ("street/a", {"baseline": 1}, "scope", "Input should be"),
        ("device/mh-1", {"baseline": 1}, "scope", "Input should be"),
    ],
)
async def test_what_does_not_fit_is_refused_with_a_sentence(
    pool: asyncpg.Pool, group: str, parameters: dict[str, object], field: str, expected: str
) -> None:
    async with client(pool) as http:
        answer = await http.put(TILT.format(group), json={"parameters": parameters, "reason": WHY})
    assert answer.status_code == 422, answer.text
    ((told_field, told),) = [(each["field"], each["expected"]) for each in answer.json()["errors"]]
    assert told_field == field
    assert expected in told
    assert await pool.fetchval("SELECT count(*) FROM rule_override") == 0


async def test_the_narrower_prevails_and_devices_judged_alike_share_a_plan(pool: asyncpg.Pool) -> None:
    await covers(pool, "mh-1", "mh-2", "mh-3")
    known = KnownDevices(load_kinds())
    groups = ("model/EM310", "owner/排水/污水公司", f"grid/{GRID}", "circuit/C-1", "site/S-1")
    async with client(pool) as http:
        for number, group in enumerate(groups):
            await set_apart(http, group, major={"limit": 20 + number})
            known.forget()
            first, second, third = await known_of(pool, known, "mh-1", "mh-2", "mh-3")
            assert tilt(first).levels[0].limit == 20 + number
            assert first.plan is second.plan is third.plan
        await set_apart(http, "model/EM310", critical={"hold_s": 7}, major={"limit": 99})
        own = {"manhole.tilt": {"baseline": 4, "major": {"hold_s": 3}}}
        (await http.patch("/v1/devices/mh-2", json={"overrides": own})).raise_for_status()
        known.forget()
        first, second = await known_of(pool, known, "mh-1", "mh-2")
        assert [(level.limit, level.hold_s) for level in tilt(first).levels] == [(24, 30.0), (90.0, 7)]
        assert [(level.limit, level.hold_s) for level in tilt(second).levels] == [(24, 3.0), (90.0, 7)]
        assert (tilt(first).baseline, tilt(second).baseline) == (None, 4.0)
        for number, group in reversed(list(enumerate(groups))):
            (await http.delete(TILT.format(group))).raise_for_status()
            known.forget()
            (first,) = await known_of(pool, known, "mh-1")
            assert tilt(first).levels[0].limit == (19 + number if number > 1 else 99 if number else 15)


async def test_a_stored_override_that_no_longer_fits_leaves_the_weaker_ones_in_force(pool: asyncpg.Pool) -> None:
    await covers(pool, "mh-1")
    async with client(pool) as http:
        await set_apart(http, "owner/排水/污水公司", major={"limit": 20})
    await pool.execute(
        "INSERT INTO rule_override SELECT 'site', 'S-1', rule, parameters, 'an older version', 'test', now() FROM "
        """(VALUES ('manhole.tilt', '{"major": {"limit": 50, "speed": 1}}'::jsonb), ('manhole.gone', '{"a": 1}'))"""
        " AS old (rule, parameters)"
    )
    known = KnownDevices(load_kinds())
    (cover,) = await known_of(pool, known, "mh-1")
    assert tilt(cover).levels[0].limit == 20
    flow = await flow_on(pool)
    await flow.settle([Delivery(topic("mh-1"), body(NOW, tilt_deg=95.0), NOW, 1, False, 1)], 1)
    assert await pool.fetchval("SELECT count(*) FROM alert WHERE state = 'firing'") == 1


class Road:
    """One flow and one ticker, told of changes as the service is."""

    def __init__(self, pool: asyncpg.Pool, known: KnownDevices) -> None:
        self.pool, self.known, self.token = pool, known, 0
        self.clock = StillClock(NOW)

    async def open(self) -> "Road":
        kinds = load_kinds()
        cases = Cases(ZONE)
        await cases.start(self.pool, [rule for kind in kinds.values() for rule in kind.rules], NOW)
        self.flow = await flow_on(self.pool, clock=self.clock)
        self.ticker = Ticker(self.pool, KnownDevices(kinds), cases, LATE_BOUND)
        return self

    async def at(self, second: float, **values: object) -> None:
        """A message, if there are values, and a look of the ticker."""
        self.clock.time = now = NOW + timedelta(seconds=second)
        self.token += 1
        if values:
            await self.flow.settle(
                [Delivery(topic("mh-1"), body(now, None, **values), now, self.token, False, 1)], self.token
            )
        await self.ticker.look(now, {"native": Coverage(NOW, now)})

    async def alert(self) -> tuple[float, str, int] | None:
        row = await self.pool.fetchrow("SELECT fired_at, state, severity FROM alert ORDER BY onset DESC")
        return None if row is None else ((row[0] - NOW).total_seconds(), row[1], row[2])


async def test_a_shorter_hold_fires_what_is_pending_and_what_fires_goes_on(pool: asyncpg.Pool) -> None:
    await covers(pool, "mh-1")
    road = await Road(pool, KnownDevices(load_kinds())).open()
    known = road.flow._parts.known  # pyright: ignore[reportPrivateUsage]  # followed as the service does
    async with client(pool) as http:
        await road.at(0, tilt_deg=20.0)
        await road.at(6)
        assert await road.alert() is None
        await set_apart(http, "site/S-1", major={"hold_s": 5})
        await road.at(7)
        assert await road.alert() == (5.0, "firing", 2)
        await set_apart(http, "site/S-1", major={"limit": 40, "clear": 35})
        known.forget()
        await road.at(8)
        assert await road.alert() == (5.0, "firing", 2)
        await road.at(9, tilt_deg=36.0)
        assert await road.alert() == (5.0, "firing", 2)
        await road.at(10, tilt_deg=20.0)
        assert await road.alert() == (5.0, "cleared", 2)
        revisions = await pool.fetch(
            "SELECT body->'condition'->'levels'->0->>'hold_s' FROM rule_revision r JOIN alert a ON a.revision_id = r.id"
        )
        assert [row[0] for row in revisions] == ["5.0"]


async def test_a_change_is_heard_of_without_a_restart(pool: asyncpg.Pool) -> None:
    await covers(pool, "mh-1")
    known = KnownDevices(load_kinds())
    following = asyncio.create_task(follow_registry(pool, known))

    async def limit_is(limit: float) -> bool:
        return tilt((await known_of(pool, known, "mh-1"))[0]).levels[0].limit == limit

    async with client(pool) as http:
        await until(lambda: limit_is(15))
        await set_apart(http, "circuit/C-1", major={"limit": 33})
        await until(lambda: limit_is(33))
        (await http.patch("/v1/assets/A-mh-1", json={"circuit": "C-2"})).raise_for_status()
        await until(lambda: limit_is(15))
        (await http.patch("/v1/assets/A-mh-1", json={"circuit": "C-1"})).raise_for_status()
        await until(lambda: limit_is(33))
        (await http.delete(TILT.format("circuit/C-1"))).raise_for_status()
        await until(lambda: limit_is(15))
    following.cancel()


async def test_the_ticker_looks_at_those_whom_a_change_concerns_and_at_nobody_else(pool: asyncpg.Pool) -> None:
    await covers(pool, "mh-1", "mh-2")
    await covers(pool, "mh-3", site="S-2", model="EM320")

    async def asked() -> list[str]:
        rows = await pool.fetch(
            "SELECT d.name FROM device_timer t JOIN device d ON d.id = t.device_id "
            "WHERE t.silence_due = '-infinity' ORDER BY 1"
        )
        await pool.execute("UPDATE device_timer SET silence_due = NULL")
        return [row[0] for row in rows]

    async with client(pool) as http:
        assert await asked() == []
        await set_apart(http, "site/S-1", baseline=1)
        assert await asked() == ["mh-1", "mh-2"]
        await set_apart(http, "model/EM320", baseline=1)
        assert await asked() == ["mh-3"]
        await http.patch("/v1/devices/mh-1", json={"model": "EM320"})
        assert await asked() == ["mh-1"]
        await http.patch("/v1/assets/A-mh-2", json={"site": "S-3", "address": "华阳路"})
        assert await asked() == ["mh-2"]
        await http.patch("/v1/assets/A-mh-2", json={"address": "翠屏路"})
        assert await asked() == []
        await http.post("/v1/devices/mh-2/fitting", json={"asset": "A-mh-1"})
        assert await asked() == ["mh-2"]
        await http.post("/v1/devices/mh-2/unfit")
        assert await asked() == ["mh-2"]
        await http.delete(TILT.format("site/S-1"))
        assert await asked() == ["mh-1"]
