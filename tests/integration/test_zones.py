"""Zones: a leak between meters opens one alert with a ticket, missing readings open none, and it clears."""

from datetime import UTC, datetime, timedelta
from typing import Any

from devices.catalogue import load_kinds
from domain.role import Role
from service.cases import Cases
from service.coordinator.balance_look import BalanceLook
from service.known import KnownDevices
from tests.support.api import StillClock, client
from tests.support.circuits import Coordinated, coordinated, register_street, told
from tests.support.flow import ZONE

MIDNIGHT = datetime(2026, 11, 20, 16, tzinfo=UTC)
DAY = timedelta(days=1)
METERS = ["G-IN", "G-1", "G-2"]
MEMBERS = [{"device": name, "role": "in" if name == "G-IN" else "out"} for name in METERS]


class Town:
    """A zone with one inlet and two households, whose meters report at noon, each day what was used since."""

    def __init__(self, street: Coordinated) -> None:
        self.street = street
        self.counters = dict.fromkeys(METERS, 100.0)
        self.look = BalanceLook(ZONE, KnownDevices(load_kinds()), Cases(ZONE))

    async def day(self, number: int, lost: float, but: str | None = None) -> None:
        """Noon of one day: 24 m³ for the households, and what is lost; ``but`` is not heard."""
        used = {"G-IN": 24.0 + lost, "G-1": 10.0, "G-2": 14.0}
        noon = MIDNIGHT + number * DAY + DAY / 2
        for name in METERS:
            self.counters[name] += used[name]
            if name != but:
                await self.street.tell(told(name, noon, "gas_meter", volume_m3=self.counters[name]))

    async def judge(self, number: int) -> None:
        """An hour after that noon."""
        self.street.clock.time = MIDNIGHT + number * DAY + DAY / 2 + timedelta(hours=1)
        async with self.street.pool.acquire() as connection:
            for _ in range(100):
                if not await self.look.look(connection, self.street.clock.time):
                    return
        raise AssertionError("it must come to an end")

    async def alerts(self) -> list[tuple[Any, ...]]:
        rows = await self.street.pool.fetch(
            "SELECT a.state, a.onset, a.fired_at, d.name, round(a.value::numeric, 3)::float8 "
            "FROM alert a JOIN device d ON d.id = a.device_id WHERE a.rule = 'gas_meter.zone_loss' ORDER BY a.id"
        )
        return [tuple(row) for row in rows]


async def town(pool: Any) -> Town:
    await register_street(pool, METERS, "gas_meter", site="S-1")
    made = Town(await coordinated(pool))
    made.street.clock.time = MIDNIGHT - timedelta(hours=1)
    async with client(pool, Role.ENGINEER, StillClock(MIDNIGHT - timedelta(hours=1))) as http:
        answer = await http.put("/v1/zones/Z-1", json={"rule": "gas_meter.zone_loss", "members": MEMBERS})
        assert answer.status_code == 200, answer.text
    return made


async def test_a_leak_of_two_days_is_one_alert_with_a_ticket_and_clears_after_two_good_ones(pool: Any) -> None:
    here = await town(pool)
    for number in range(-1, 3):
        await here.day(number, lost=0.0 if number < 0 else 24.0)
        await here.judge(number)
        if number < 2:
            assert await here.alerts() == []
    [alert] = await here.alerts()
    assert alert == ("firing", MIDNIGHT, MIDNIGHT + 2 * DAY, "G-IN", 1.0)
    assert await here.street.tickets() == [("E05-02", "open", 1, "Zone loses gas: Z-1")]
    for number in range(3, 7):
        await here.day(number, lost=0.0)
        await here.judge(number)
    assert [row[0] for row in await here.alerts()] == ["cleared"]
    assert (await here.street.tickets())[0][1] == "resolved"
    async with client(pool, Role.VIEWER, here.street.clock) as http:
        one = (await http.get("/v1/zones/Z-1")).raise_for_status().json()
        [summary] = (await http.get("/v1/zones")).raise_for_status().json()["items"]
    assert {key: one[key] for key in summary} == summary
    assert (one["inlets"], one["outlets"], one["firing_since"]) == (1, 2, None)
    lost = [round(balance["lost_m3h"], 2) for balance in reversed(one["balances"])]
    assert lost == [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]


async def test_a_meter_that_is_missing_makes_no_leak(pool: Any) -> None:
    here = await town(pool)
    for number in range(-1, 6):
        await here.day(number, lost=0.0, but="G-2" if number >= 2 else None)
        await here.judge(number)
    assert await here.alerts() == []
    rows = await pool.fetch("SELECT inflow_m3, outflow_m3 FROM zone_balance ORDER BY window_start")
    assert rows[0]["inflow_m3"] is not None
    assert {row["inflow_m3"] for row in rows[1:]} == {None}
    assert len(rows) >= 3, "it gives up waiting and goes on"


async def test_a_zone_that_is_removed_takes_its_alert_with_it(pool: Any) -> None:
    here = await town(pool)
    for number in range(-1, 3):
        await here.day(number, lost=24.0)
        await here.judge(number)
    assert [row[0] for row in await here.alerts()] == ["firing"]
    async with client(pool, Role.ENGINEER, here.street.clock) as http:
        assert (await http.delete("/v1/zones/Z-1")).status_code == 204
        assert (await http.get("/v1/zones/Z-1")).status_code == 404
        assert (await http.delete("/v1/zones/Z-1")).status_code == 404
        body = {"rule": "gas_meter.zone_loss", "members": MEMBERS}
        assert (await http.put("/v1/zones/Z-1", json=body)).status_code == 409
        await here.judge(2)
        assert [row[0] for row in await here.alerts()] == ["cleared"]
        assert (await http.put("/v1/zones/Z-1", json=body)).status_code == 200


async def test_other_meters_are_judged_from_the_next_whole_window_on(pool: Any) -> None:
    here = await town(pool)
    body = {"rule": "gas_meter.zone_loss", "members": MEMBERS}
    async with client(pool, Role.ENGINEER, StillClock(MIDNIGHT + DAY / 2)) as http:
        await http.put("/v1/zones/Z-1", json=body)
        since = "SELECT members_since FROM zone"
        assert await pool.fetchval(since) == MIDNIGHT - timedelta(hours=1), "the same again changes nothing"
        fewer = {**body, "members": MEMBERS[:2]}
        shown = (await http.put("/v1/zones/Z-1", json=fewer)).raise_for_status().json()
        assert [member["device"] for member in shown["members"]] == ["G-IN", "G-1"]
        assert await pool.fetchval(since) == MIDNIGHT + DAY / 2
        for wrong in (
            {**body, "rule": "manhole.tilt"},
            {**body, "members": [*MEMBERS, MEMBERS[0]]},
            {**body, "members": MEMBERS[1:]},
            {**body, "members": []},
        ):
            assert (await http.put("/v1/zones/Z-2", json=wrong)).status_code == 422
        strange = {**body, "members": [*MEMBERS, {"device": "nobody", "role": "out"}]}
        assert (await http.put("/v1/zones/Z-2", json=strange)).status_code == 404
        assert (await http.get("/v1/zones/Z-2")).status_code == 404
    assert here.counters
