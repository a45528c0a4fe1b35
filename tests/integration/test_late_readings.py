"""Late readings: found late, contradicted, upheld again, corrected; what becomes of tickets; what is left alone."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from domain.instants import to_micros
from domain.role import Role
from ingest.delivery import Delivery
from service.cases import Cases
from service.flow import Flow
from service.known import KnownDevices
from service.ticker import Ticker
from tests.support.api import StillClock, client
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import topic
from tests.support.registered import register

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Street:
    """A manhole whose readings the test delivers in whatever order, and a clock that it moves."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.clock = StillClock(START + timedelta(hours=1))
        self.packets = 0

    async def open(self, **registration: Any) -> "Street":
        self.device = await register(self.pool, "MH-1", interval_s=60.0, **registration)
        self.flow: Flow = await flow_on(self.pool, clock=self.clock)
        cases = Cases(ZONE)
        kinds = load_kinds()
        await cases.start(self.pool, [one for kind in kinds.values() for one in kind.rules], START)
        self.ticker = Ticker(self.pool, KnownDevices(kinds), cases, LATE_BOUND)
        return self

    async def deliver(self, *messages: tuple[float, Mapping[str, object]], device: str = "MH-1") -> None:
        """Settle (second, values) as one batch."""
        batch: list[Delivery] = []
        for second, values in messages:
            self.packets += 1
            millis = to_micros(START + timedelta(seconds=second)) // 1000
            payload = orjson.dumps({"ts": millis, "values": values})
            batch.append(Delivery(topic(device), payload, self.clock.now(), self.packets, False, 1))
        await self.flow.settle(batch, self.packets)

    async def tick(self) -> None:
        while await self.ticker.look(self.clock.now(), {}):
            pass

    async def alerts(self) -> list[tuple[str, float, str, str, bool]]:
        rows = await self.pool.fetch("SELECT rule, onset, standing, state, retrospective FROM alert ORDER BY onset")
        return [(r[0].split(".")[1], (r[1] - START).total_seconds(), r[2], r[3], r[4]) for r in rows]

    async def ticket(self) -> Any:
        return await self.pool.fetchrow("SELECT number, state, firing, review FROM ticket ORDER BY id DESC LIMIT 1")


@pytest.fixture
async def street(pool: Any) -> Street:
    return await Street(pool).open()


async def test_an_alert_hidden_in_a_history_is_found_late_and_told_as_such(street: Street) -> None:
    await street.deliver((600, {"lid_open": False}))
    await street.deliver((100, {"lid_open": True}), (160, {"lid_open": True}), (200, {"lid_open": False}))
    assert await street.alerts() == [("open", 100, "upheld", "cleared", True)]
    ticket = await street.ticket()
    assert (ticket["state"], ticket["firing"], ticket["review"]) == ("resolved", 0, False)


async def test_a_late_bad_reading_at_the_end_of_the_stream_fires_now(street: Street) -> None:
    await street.deliver((0, {"lid_open": False}))
    await street.deliver((30, {"tilt_deg": 1.0}))
    await street.deliver((20, {"lid_open": True}))
    await street.tick()
    assert await street.alerts() == [("open", 20, "upheld", "firing", True)]
    assert (await street.ticket())["state"] == "open"


async def test_a_late_reading_contradicts_what_it_shows_to_be_wrong_and_a_person_decides(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}))
    await street.tick()
    assert await street.alerts() == [("tilt", 0, "upheld", "firing", False)]
    # Back upright after 10 s, and told late: in order, the hold of 30 s would never have ended.
    await street.deliver((10, {"tilt_deg": 1.0}))
    assert await street.alerts() == [("tilt", 0, "contradicted", "cleared", False)]
    row = await street.pool.fetchrow("SELECT contradicted_by_at, contradicted_at FROM alert")
    assert (row[0] - START).total_seconds() == 10
    assert row[1] == street.clock.now()
    ticket = await street.ticket()
    assert (ticket["state"], ticket["firing"], ticket["review"]) == ("open", 0, True)
    steps = [row[0] for row in await street.pool.fetch("SELECT step FROM alert_event")]
    assert steps == ["opened", "contradicted"]
    moves = [row[0] for row in await street.pool.fetch("SELECT move FROM ticket_move ORDER BY id")]
    assert "contradicted" in moves


async def test_a_reading_overtaken_by_the_clock_is_late_though_the_newest(street: Street) -> None:
    await street.deliver((0, {"lid_open": True}))
    await street.tick()
    await street.deliver((1, {"lid_open": False}))
    assert await street.alerts() == [("open", 0, "contradicted", "cleared", False)]
    row = await street.pool.fetchrow("SELECT last_at, late, tracks FROM device_state")
    assert (row["last_at"] - START).total_seconds() == 1
    assert (row["late"], row["tracks"]) == (0, None)


async def test_a_still_later_reading_bears_a_contradicted_alert_out_again(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}))
    await street.tick()
    await street.deliver((31, {"tilt_deg": 1.0}), (10, {"lid_open": False}))
    await street.deliver((8, {"tilt_deg": 12.0}))
    # 12° is no longer 15 and not yet below 10: the pending hold starts anew, and never ends.
    assert [alert[2] for alert in await street.alerts()] == ["contradicted"]
    await street.deliver((9, {"tilt_deg": 20.0}))
    assert [alert[2] for alert in await street.alerts()] == ["contradicted"]
    assert (await street.ticket())["review"]


async def test_an_earlier_onset_replaces_the_later_one_on_the_same_ticket(street: Street) -> None:
    await street.deliver((60, {"lid_open": True}))
    await street.tick()
    before = await street.ticket()
    await street.deliver((40, {"lid_open": True}))
    assert await street.alerts() == [
        ("open", 40, "upheld", "firing", True),
        ("open", 60, "contradicted", "cleared", False),
    ]
    after = await street.ticket()
    assert after["number"] == before["number"]
    assert (after["state"], after["firing"], after["review"]) == ("open", 1, False)


async def test_an_alert_that_ends_earlier_than_thought_is_corrected(street: Street) -> None:
    await street.deliver((0, {"lid_open": True}), (50, {"lid_open": True}))
    await street.deliver((80, {"lid_open": False}))
    await street.deliver((70, {"lid_open": False}))
    assert await street.alerts() == [("open", 0, "upheld", "cleared", False)]
    cleared = await street.pool.fetchval("SELECT cleared_at FROM alert")
    assert (cleared - START).total_seconds() == 70
    assert [row[0] for row in await street.pool.fetch("SELECT step FROM alert_event")][-1] == "corrected"


async def test_a_healthy_history_changes_nothing_and_asks_for_no_readings(street: Street) -> None:
    await street.deliver((3000, {"tilt_deg": 1.0}))
    await street.deliver(*((second, {"tilt_deg": 1.0, "lid_open": False}) for second in range(0, 2900, 100)))
    assert await street.alerts() == []
    assert await street.pool.fetchval("SELECT late FROM device_state") == 29


async def test_beyond_the_late_bound_a_reading_is_stored_and_decides_nothing(street: Street) -> None:
    street.clock.time = START + timedelta(days=8)
    await street.deliver((8 * 86400 - 60, {"lid_open": False}))
    await street.deliver((0, {"lid_open": True}), (50, {"lid_open": True}))
    assert await street.alerts() == []
    assert await street.pool.fetchval("SELECT count(*) FROM reading") == 3


async def test_what_came_while_a_device_was_suspended_is_never_judged(street: Street) -> None:
    await street.deliver((0, {"lid_open": False}))
    await street.pool.execute("UPDATE device SET life_cycle = 'suspended'")
    street.flow = await flow_on(street.pool, clock=street.clock)
    await street.deliver((100, {"lid_open": True}), (200, {"lid_open": True}), (300, {"lid_open": True}))
    await street.pool.execute("UPDATE device SET life_cycle = 'in_service'")
    street.flow = await flow_on(street.pool, clock=street.clock)
    await street.deliver((400, {"lid_open": False}))
    await street.deliver((50, {"lid_open": True}), (51, {"lid_open": False}))
    assert await street.alerts() == []


async def test_an_alert_of_another_revision_is_left_as_it_was_decided(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}))
    await street.tick()
    overrides = orjson.dumps({"manhole.tilt": {"major": {"limit": 30.0}}})
    await street.pool.execute("UPDATE device SET overrides = $1", overrides)
    street.flow = await flow_on(street.pool, clock=street.clock)
    await street.deliver((300, {"tilt_deg": 1.0}))
    await street.deliver((10, {"tilt_deg": 1.0}))
    assert [alert[2] for alert in await street.alerts()] == ["upheld"]


async def test_a_device_a_batch_a_thousand_late_readings(street: Street) -> None:
    """Pages are turned: a history far longer than the first page, with one alert in its middle."""
    await street.deliver((3500, {"lid_open": False}))
    await street.deliver(*((float(second), {"lid_open": 1000 <= second <= 1600}) for second in range(0, 3000, 3)))
    assert await street.alerts() == [("open", 1002, "upheld", "cleared", True)]
    # Now a lone late one inside the long alert ends it early, and the rest becomes an alert of its own.
    await street.deliver((1300, {"lid_open": False}))
    assert [alert[:4] for alert in await street.alerts()] == [
        ("open", 1002, "upheld", "cleared"),
        ("open", 1302, "upheld", "cleared"),
    ]


async def test_a_person_reviews_a_ticket_and_it_resolves(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}))
    await street.tick()
    await street.deliver((10, {"tilt_deg": 1.0}))
    number = (await street.ticket())["number"]
    async with client(street.pool, Role.DISPATCHER, street.clock) as api:
        listed = (await api.get("/v1/tickets", params={"review": "true"})).json()["items"]
        assert [one["number"] for one in listed] == [number]
        alert = (await api.get("/v1/alerts", params={"state": "all", "standing": "contradicted"})).json()["items"][0]
        assert alert["contradicted_by"] == "2026-03-01T08:00:10Z"
        answer = await api.post(f"/v1/tickets/{number}/review", json={"note": "looked at: the cover is shut"})
        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["review"]) == ("resolved", False)
        assert answer.json()["moves"][-1]["move"] == "reviewed"
        assert answer.json()["moves"][-1]["detail"]["note"] == "looked at: the cover is shut"
        again = await api.post(f"/v1/tickets/{number}/review", json={"note": "again"})
        assert again.status_code == 409
    async with client(street.pool, Role.VIEWER, street.clock) as api:
        assert (await api.post(f"/v1/tickets/{number}/review", json={"note": "me"})).status_code == 403


async def states(street: Street) -> list[tuple[str, float, str, str]]:
    return [alert[:4] for alert in await street.alerts()]


async def test_a_ticket_stays_open_while_another_sensor_of_the_same_cover_fires(street: Street) -> None:
    await register(street.pool, "MH-2", interval_s=60.0, asset="asset-MH-1")
    street.flow = await flow_on(street.pool, clock=street.clock)
    await street.deliver((0, {"lid_open": True}), device="MH-2")
    await street.tick()
    await street.deliver((40, {"tilt_deg": 20.0}))
    await street.tick()
    await street.deliver((20, {"tilt_deg": 20.0}))
    await street.deliver((25, {"tilt_deg": 1.0}), (80, {"tilt_deg": 1.0}))
    ticket = await street.ticket()
    assert (ticket["state"], ticket["firing"]) == ("open", 1)


async def test_what_is_fresh_in_the_batch_has_its_say_after_what_came_late(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}), (60, {"tilt_deg": 20.0}))
    await street.deliver((45, {"tilt_deg": 95.0}), (90, {"tilt_deg": 1.0}))
    assert await states(street) == [("tilt", 0, "upheld", "cleared")]
    row = await street.pool.fetchrow("SELECT a.peak, s.tracks, t.state FROM alert AS a, device_state AS s, ticket AS t")
    assert (row["peak"], row["tracks"], row["state"]) == (1, None, "resolved")


async def test_a_firing_alert_of_a_former_rule_is_not_left_without_its_track(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}), (40, {"tilt_deg": 20.0}))
    overrides = {"manhole.tilt": {"major": {"limit": 30.0, "clear": 28.0}, "critical": {"clear": 28.0}}}
    await street.pool.execute("UPDATE device SET overrides = $1", orjson.dumps(overrides))
    street.flow = await flow_on(street.pool, clock=street.clock)
    await street.deliver((20, {"tilt_deg": 5.0}))
    await street.deliver((90, {"tilt_deg": 1.0}))
    assert await states(street) == [("tilt", 0, "upheld", "cleared")]
    assert (await street.ticket())["state"] == "resolved"


async def test_the_clock_decides_no_further_than_the_first_fresh_reading(street: Street) -> None:
    await street.deliver((40, {"tilt_deg": 20.0}))
    await street.tick()
    await street.deliver((20, {"tilt_deg": 20.0}))
    await street.deliver((25, {"tilt_deg": 1.0}), (60, {"tilt_deg": 1.0}))
    assert {alert[2] for alert in await street.alerts()} == {"contradicted"}


async def test_a_ticket_under_review_that_a_true_alert_joins_resolves_with_it(street: Street) -> None:
    await street.deliver((0, {"tilt_deg": 20.0}))
    await street.tick()
    await street.deliver((10, {"tilt_deg": 1.0}))
    assert (await street.ticket())["review"]
    await street.deliver((100, {"tilt_deg": 20.0}), (140, {"tilt_deg": 20.0}))
    ticket = await street.ticket()
    assert (ticket["state"], ticket["firing"], ticket["review"]) == ("open", 1, False)
    await street.deliver((200, {"tilt_deg": 1.0}))
    assert (await street.ticket())["state"] == "resolved"
    assert await street.pool.fetchval("SELECT count(*) FROM ticket") == 1


async def test_a_graver_peak_found_late_asks_for_the_ticket_that_was_not_there(street: Street) -> None:
    await street.deliver((0, {"ch4_pct_lel": 25.0}), (60, {"ch4_pct_lel": 5.0}))
    assert await street.pool.fetchval("SELECT count(*) FROM ticket") == 0
    await street.deliver((30, {"ch4_pct_lel": 60.0}))
    ticket = await street.ticket()
    assert (ticket["state"], ticket["firing"]) == ("resolved", 0)


async def test_a_device_whose_clock_was_set_back_is_heard_and_its_clock_is_seen(street: Street) -> None:
    await street.deliver((3500, {"tilt_deg": 1.0}))
    street.clock.time += timedelta(hours=2)
    covered = {"native": Coverage(START, street.clock.now())}
    while await street.ticker.look(street.clock.now(), covered):
        pass
    assert await states(street) == [("offline", 3600 + 180, "upheld", "firing")]
    await street.deliver((1000, {"tilt_deg": 1.0}))
    assert [alert[3] for alert in await street.alerts()] == ["cleared"]
    assert await street.pool.fetchval("SELECT max(high_s) FROM device_clock") == 7200 + 2600
