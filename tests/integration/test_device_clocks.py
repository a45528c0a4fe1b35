"""Devices' clocks: offset, the eight hours of a lost time zone, one bad clock beside good ones, over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from ingest.delivery import Delivery
from tests.support.api import StillClock, client
from tests.support.flow import flow_on
from tests.support.publishing import body, topic
from tests.support.registered import register

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


async def test_offsets_and_the_eight_hours_are_told_and_touch_no_other_device(pool: Any) -> None:
    for name in ("GOOD", "AHEAD", "LOCAL-AS-UTC", "UTC-AS-LOCAL", "TIMELESS"):
        await register(pool, name)
    clock = StillClock(START)
    flow = await flow_on(pool, clock=clock)
    off = {"GOOD": -1, "AHEAD": 40, "LOCAL-AS-UTC": 8 * 3600, "UTC-AS-LOCAL": -8 * 3600}
    for turn in range(6):
        clock.time = START + timedelta(minutes=turn)
        batch = [
            Delivery(
                topic(name),
                orjson.dumps(
                    {"ts": (clock.time + timedelta(seconds=seconds)).isoformat(), "values": {"tilt_deg": 1.0}}
                ),
                clock.time,
                1 + place,
                False,
                1,
            )
            for place, (name, seconds) in enumerate(off.items())
        ]
        batch.append(Delivery(topic("TIMELESS"), b'{"values": {"tilt_deg": 1.0}}', clock.time, 9, False, 1))
        await flow.settle(batch, turn + 1)
    async with client(pool, clock=clock) as api:
        clocks = {name: (await api.get(f"/v1/devices/{name}")).json()["clock"] for name in (*off, "TIMELESS")}
        verdicts = {name: found["verdict"] for name, found in clocks.items()}
        assert verdicts == {
            "GOOD": "good",
            "AHEAD": "ahead",
            "LOCAL-AS-UTC": "shifted_8h",
            "UTC-AS-LOCAL": "shifted_8h",
            "TIMELESS": "unknown",
        }
        assert (clocks["AHEAD"]["offset_s"], clocks["GOOD"]["offset_s"]) == (40.0, -1.0)
        assert clocks["LOCAL-AS-UTC"]["offset_s"] == 8 * 3600
        assert clocks["LOCAL-AS-UTC"]["refused"] == 6
        listed = (await api.get("/v1/clocks", params={"limit": 2})).json()
        assert [one["device"] for one in listed["items"]] == ["AHEAD", "LOCAL-AS-UTC"]
        more = (await api.get("/v1/clocks", params={"limit": 2, "cursor": listed["next"]})).json()
        assert [(one["device"], one["verdict"]) for one in more["items"]] == [("UTC-AS-LOCAL", "shifted_8h")]
    stored = dict(
        await pool.fetch("SELECT d.name, s.readings FROM device_state AS s JOIN device AS d ON d.id = device_id")
    )
    assert stored["GOOD"] == 6
    assert stored["LOCAL-AS-UTC"] == 0


async def test_a_clock_eight_hours_ahead_neither_raises_nor_delays_what_its_neighbour_raises(pool: Any) -> None:
    """Both tilt and are set upright at the same moments, in the same batches; one of them says so eight hours ahead."""
    ids = {name: await register(pool, name) for name in ("GOOD", "LOCAL-AS-UTC")}
    clock = StillClock(START)
    flow = await flow_on(pool, clock=clock)
    for turn, degrees in enumerate((1.0, 40.0, 40.0, 40.0, 1.0)):
        clock.time = START + timedelta(seconds=20 * turn)
        batch = [
            Delivery(topic(name), body(clock.time + ahead, turn, tilt_deg=degrees), clock.time, place, False, 1)
            for place, (name, ahead) in enumerate({"LOCAL-AS-UTC": timedelta(hours=8), "GOOD": timedelta()}.items(), 1)
        ]
        await flow.settle(batch, turn + 1)
    alerts = await pool.fetch("SELECT device_id, rule, onset, fired_at, cleared_at FROM alert")
    onset = START + timedelta(seconds=20)
    assert [tuple(row) for row in alerts] == [
        (ids["GOOD"], "manhole.tilt", onset, onset + timedelta(seconds=30), onset + timedelta(seconds=60))
    ]
    held = await pool.fetch("SELECT reason, sum(count)::int FROM quarantine GROUP BY reason")
    assert [tuple(row) for row in held] == [("in_future", 5)]
    assert await pool.fetchval("SELECT max(at) FROM reading") == clock.time
