"""A rule explained at a past moment: the readings it saw, the hold that broke, the alert it led to."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from domain.role import Role
from ingest.delivery import Delivery
from service.flow import Flow
from tests.support.api import NOW, StillClock, client, registered
from tests.support.flow import flow_on
from tests.support.publishing import topic

BEGIN = NOW - timedelta(hours=1)
TOLD: list[tuple[int, dict[str, object]]] = [
    (-600, {"tilt_deg": 1.0}),
    (0, {"tilt_deg": 20.0}),
    (20, {"tilt_deg": 12.0, "battery_v": 3.6}),
    (30, {"battery_v": 3.6}),
    (40, {"tilt_deg": 500.0}),
    (60, {"tilt_deg": 22.0}),
    (100, {"tilt_deg": 23.0}),
    (200, {"tilt_deg": 95.0}),
    (300, {"tilt_deg": 2.0}),
]
"""Seconds after the beginning, and what the cover says then."""


async def told(pool: asyncpg.Pool) -> Flow:
    await registered(pool, "mh-1")
    flow = await flow_on(pool, clock=StillClock(NOW))
    for number, (second, values) in enumerate(TOLD, start=1):
        at = BEGIN + timedelta(seconds=second)
        payload = orjson.dumps({"ts": at.isoformat(), "values": values})
        await flow.settle([Delivery(topic("mh-1"), payload, at, 1, redelivered=False, generation=1)], number)
    return flow


def moment(second: float) -> str:
    return (BEGIN + timedelta(seconds=second)).isoformat()


async def explained(http: Any, second: float, rule: str = "manhole.tilt", device: str = "mh-1") -> dict[str, Any]:
    answer = await http.get(f"/v1/devices/{device}/rules/{rule}/explain", params={"at": moment(second)})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def test_a_hold_that_was_broken_is_told_with_what_broke_it(pool: asyncpg.Pool) -> None:
    await told(pool)
    async with client(pool, Role.VIEWER) as http:
        said = await explained(http, 50)
    assert said["state"]["state"] == "clear"
    assert "it was bad for 20 s of the 30 s hold" in said["why"]
    assert "(tilt_deg 12), between limit and clear level, ended it" in said["why"]
    assert [one["what"] for one in said["happened"]] == ["began", "broke"]
    assert said["alerts"] == []
    looks = said["readings"]
    assert [one["values"]["tilt_deg"] for one in looks] == [1, 20, 12, 500]
    verdicts = [{one["severity"]: one["verdict"] for one in look["verdicts"]} for look in looks]
    assert verdicts == [{2: "good", 1: "good"}, {2: "bad", 1: "keep"}, {2: "keep", 1: "keep"}, {}]
    assert looks[3]["not_judged"] == "tilt_deg is out_of_range"
    assert looks[3]["flags"] == {"tilt_deg": "out_of_range"}


async def test_a_hold_under_way_tells_how_far_it_was_and_where_it_led(pool: asyncpg.Pool) -> None:
    await told(pool)
    async with client(pool) as http:
        said = await explained(http, 75)
    assert said["state"]["state"] == "pending"
    major = said["state"]["levels"][0]
    assert (major["held_s"], major["hold_s"]) == (15, 30)
    [alert] = said["alerts"]
    assert alert["fired_at"] == (BEGIN + timedelta(seconds=90)).isoformat().replace("+00:00", "Z")
    assert f"It led to alert {alert['id']}" in said["why"]
    assert alert["ticket"] in said["why"]


async def test_a_firing_rule_tells_its_steps_and_what_kept_it_quiet(pool: asyncpg.Pool) -> None:
    await told(pool)
    await pool.execute(
        "INSERT INTO alert_mute (alert_id, reason, source, since, ended_at) "
        "SELECT id, 'silence', '7', $1, $2 FROM alert",
        BEGIN + timedelta(seconds=150),
        BEGIN + timedelta(seconds=250),
    )
    async with client(pool) as http:
        quiet, loud, over = [await explained(http, second) for second in (210, 260, 301)]
    assert quiet["state"]["state"] == "firing"
    assert quiet["state"]["severity"] == 1
    assert [one["what"] for one in quiet["happened"]] == ["began", "broke", "began", "opened", "rose"]
    assert [one["reason"] for one in quiet["alerts"][0]["muted"]] == ["silence"]
    assert "It asks for no ticket" in quiet["why"]
    assert loud["alerts"][0]["muted"] == []
    assert over["state"]["state"] == "clear"
    assert over["happened"][-1]["what"] == "cleared"
    assert "it cleared at" in over["why"]
    assert over["alerts"] == []


async def test_a_device_that_was_not_heard_yet_is_explained_too(pool: asyncpg.Pool) -> None:
    await told(pool)
    async with client(pool) as http:
        before = await explained(http, -700)
        silent = await explained(http, 50, "manhole.offline")
    assert before["readings"] == before["happened"] == before["alerts"] == []
    assert before["state"]["state"] == "clear"
    assert silent["state"]["silence"]["heard_at"] == (BEGIN + timedelta(seconds=40)).isoformat().replace("+00:00", "Z")


async def test_what_is_not_there_and_what_is_to_come_are_refused(pool: asyncpg.Pool) -> None:
    await registered(pool, "mh-1")
    async with client(pool) as http:
        for path in ("mh-2/rules/manhole.tilt", "mh-1/rules/bin.full"):
            assert (await http.get(f"/v1/devices/{path}/explain")).status_code == 404
        late = await http.get(
            "/v1/devices/mh-1/rules/manhole.tilt/explain", params={"at": (NOW + timedelta(seconds=9)).isoformat()}
        )
    assert late.status_code == 422
    assert "not later than now" in late.json()["detail"]


async def test_the_command_tells_it_at_the_terminal(pool: asyncpg.Pool, database_url: str) -> None:
    await told(pool)
    environment = {**os.environ, "STREETWARDEN_DATABASE_URL": database_url, "COLUMNS": "200"}
    command = [sys.executable, "-m", "service", "rules", "explain", "mh-1", "manhole.tilt", "--at", moment(50)]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "it was bad for 20 s of the 30 s hold" in done.stdout
    assert "tilt_deg is out_of_range" in done.stdout
    assert "major bad, critical keep" in done.stdout


async def test_it_stands_at_every_moment_as_the_alerts_say(pool: asyncpg.Pool) -> None:
    await told(pool)
    row = await pool.fetchrow("SELECT fired_at, cleared_at FROM alert WHERE rule = 'manhole.tilt'")
    assert row is not None
    async with client(pool) as http:
        for second in (-600, 0, 20, 60, 89, 90, 100, 200, 299, 300, 400):
            said = await explained(http, second)
            at = BEGIN + timedelta(seconds=second)
            assert (said["state"]["state"] == "firing") == (row[0] <= at < row[1]), second
