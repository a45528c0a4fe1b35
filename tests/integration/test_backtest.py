"""A backtest by the rules in force finds what was found live: same alerts, same times; another limit shows apart."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import orjson
import pytest

from devices.catalogue import load_kinds
from domain.errors import InvalidInputError
from domain.instants import to_micros
from ingest.delivery import Delivery
from rules.backtest import Found
from service.backtest import Outcome, Wanted, run_backtest
from service.backtest_figures import figures_of
from service.backtest_report import page_of
from service.cases import Cases
from service.known import KnownDevices
from service.rule_file import read_rules
from service.ticker import Ticker
from store.pool import open_pool
from tests.support import postgres
from tests.support.api import StillClock
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import topic, until
from tests.support.registered import register

START = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
"""Two tables of readings are read: the time goes over midnight."""
END = START + timedelta(hours=2)
OUTAGE = START + timedelta(minutes=60), START + timedelta(minutes=68)
STEP = timedelta(seconds=10)
COVERS = [f"mh-{number}" for number in range(6)]
BINS = ["bin-1", "bin-2"]
STEEPER = """
rules:
  - key: manhole.tilt
    condition:
      measure: tilt_deg
      levels:
        - {severity: major, limit: 50, clear: 10, hold_s: 30}
        - {severity: critical, limit: 90, clear: 10}
"""


class Message(NamedTuple):
    """When it comes, and what it says of when."""

    received: datetime
    at: datetime
    device: str
    values: dict[str, object]


def messages(dice: random.Random) -> list[Message]:
    """Some covers and bins over two hours: faults that last, silences, histories that come late, impossible values."""
    made: list[Message] = []
    for device in (*COVERS, *BINS):
        at = START
        fault: dict[str, object] = {}
        while at < END:
            at += timedelta(seconds=dice.choice([20, 40, 60, 60, 60, 70, 400]))
            if dice.random() < 0.2:
                fault = dice.choice(
                    [{}, {}, {"tilt_deg": 20.0}, {"tilt_deg": 60.0}, {"tilt_deg": 95.0}, {"lid_open": True}]
                    if device in COVERS
                    else [{}, {"fill_pct": 85.0}, {"fill_pct": 95.0, "temp_c": 70.0}]
                )
            well = {"tilt_deg": 1.0, "battery_v": 3.6} if device in COVERS else {"fill_pct": 10.0, "temp_c": 20.0}
            values = {**well, **fault}
            if dice.random() < 0.05:
                values["tilt_deg"] = 500.0
            late = dice.choice([0, 0, 0, 0, 0, 0, 150, 600])
            received = at + timedelta(seconds=late)
            if OUTAGE[0] <= received < OUTAGE[1]:
                received = OUTAGE[1]
            if received < END:
                made.append(Message(received, at, device, values))
    return sorted(made, key=lambda one: (one.received, one.at, one.device))


async def live(pool: asyncpg.Pool, told: Iterable[Message]) -> None:
    """Settle the messages as they come, with heartbeats and the ticker between; nothing reaches us in the outage."""
    clock = StillClock(START)
    flow = await flow_on(pool, clock=clock, heartbeats={"beat/native": "native"})
    kinds = load_kinds()
    cases = Cases(ZONE)
    await cases.start(pool, [rule for kind in kinds.values() for rule in kind.rules], START)
    ticker = Ticker(pool, KnownDevices(kinds), cases, LATE_BOUND)
    left = list(told)
    token = 0
    while clock.time < END:
        clock.time += STEP
        if OUTAGE[0] <= clock.time < OUTAGE[1]:
            continue
        batch = [_delivery(left.pop(0)) for _ in range(sum(one.received <= clock.time for one in left))]
        beat = str(to_micros(clock.time)).encode()
        token += 1
        await flow.settle([*batch, Delivery("beat/native", beat, clock.time, 1, False, 1)], token)
        while await ticker.look(clock.time, flow.coverage):
            pass


def _delivery(message: Message) -> Delivery:
    kind = "manhole" if message.device in COVERS else "bin"
    payload = orjson.dumps({"ts": message.at.isoformat(), "values": message.values})
    return Delivery(topic(message.device, kind), payload, message.received, 1, redelivered=False, generation=1)


@pytest.fixture(scope="module")
def city_url(server_url: str, template_database: str) -> Iterator[str]:
    """A database with two hours that were judged live. Two covers lie over one well, and so share their tickets."""
    with postgres.copy_of(template_database, server_url) as url:
        asyncio.run(_make_city(url))
        yield url


async def _make_city(url: str) -> None:
    pool = await open_pool(url, application_name="test")
    try:
        for name in COVERS:
            await register(pool, name, asset="well" if name in COVERS[:2] else None, interval_s=60.0)
        for name in BINS:
            await register(pool, name, "bin", interval_s=60.0)
        await live(pool, messages(random.Random(5)))
    finally:
        await pool.close()


@pytest.fixture
async def city(city_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to it; nothing is changed there."""
    pool = await open_pool(city_url, application_name="test")
    yield pool
    await pool.close()


async def stood(pool: asyncpg.Pool, rule: str = "%") -> set[tuple[object, ...]]:
    rows = await pool.fetch(
        "SELECT device_id, rule, onset, fired_at, cleared_at, peak FROM alert "
        "WHERE standing = 'upheld' AND rule LIKE $1",
        rule,
    )
    return {tuple(row) for row in rows}


def identity(one: Found) -> tuple[object, ...]:
    return one.device_id, one.rule, one.onset, one.fired_at, one.cleared_at, int(one.peak)


async def tried(pool: asyncpg.Pool, **wanted: Any) -> Outcome:
    shares: list[float] = []
    times: dict[str, Any] = {"since": START, "until": END, "zone": ZONE.key, **wanted}
    outcome = await run_backtest(pool, load_kinds(), Wanted(**times), END, lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return outcome


async def test_the_rules_in_force_raise_again_what_they_raised_live(city: asyncpg.Pool) -> None:
    outcome = await tried(city)
    found = [identity(one) for one in outcome.first.alerts]
    assert len(found) == len(set(found))
    assert set(found) == await stood(city)
    rules = Counter(one.rule for one in outcome.first.alerts)
    assert rules.keys() >= {"manhole.tilt", "manhole.open", "manhole.offline", "bin.full", "bin.fire", "bin.offline"}
    assert outcome.readings == await city.fetchval("SELECT count(*) FROM reading")
    assert outcome.second is None


async def test_tickets_are_opened_and_joined_as_live(city: asyncpg.Pool) -> None:
    outcome = await tried(city)
    asked = await city.fetchval("SELECT count(*) FROM alert WHERE ticket_id IS NOT NULL AND standing = 'upheld'")
    assert sum(len(ticket.alerts) for ticket in outcome.first.tickets) == asked
    assert sum(ticket.joined for ticket in outcome.first.tickets) > 0
    # Flapping, which is not tried, keeps tickets of devices open that fall silent again and again.
    flapping = "SELECT t.asset_id, t.case_class FROM flapping AS f JOIN alert AS a USING (device_id, rule) "
    rows = await city.fetch(f"{flapping} JOIN ticket AS t ON t.id = a.ticket_id WHERE f.ended_at IS NULL")
    calmed = {tuple(row) for row in rows}
    open_now = {tuple(row) for row in await city.fetch("SELECT asset_id, case_class FROM ticket_subject WHERE open")}
    standing = [tuple(ticket.subject) for ticket in outcome.first.tickets if ticket.resolved_at is None]
    assert len(standing) == len(set(standing))
    assert set(standing) - calmed == open_now - calmed
    assert set(standing) <= open_now


async def test_part_of_the_time_and_some_devices(city: asyncpg.Pool) -> None:
    since, end = START + timedelta(minutes=50), START + timedelta(minutes=100)
    outcome = await tried(city, since=since, until=end, devices=["mh-3", "bin-1"])
    ids = await city.fetch("SELECT id FROM device WHERE name IN ('mh-3', 'bin-1')")
    inside = {
        one[:4]
        for one in await stood(city)
        if one[0] in {row[0] for row in ids} and since <= one[3] < end  # type: ignore[operator]  # a time
    }
    assert len(inside) > 3
    # A message that was received inside the time and tells of one long before ends silences live; here it is not read.
    found = {identity(one)[:4] for one in outcome.first.alerts}
    assert {one for one in found if "offline" not in str(one[1])} == {
        one for one in inside if "offline" not in str(one[1])
    }
    assert found >= {one for one in inside if "offline" in str(one[1])}
    assert outcome.devices == 2


async def test_a_candidate_with_another_limit_shows_what_differs(city: asyncpg.Pool, tmp_path: Path) -> None:
    path = tmp_path / "steeper.yaml"
    path.write_text(STEEPER)
    outcome = await tried(city, rules=read_rules(path))
    assert outcome.second is not None
    assert {identity(one) for one in outcome.second.alerts} == await stood(city, "manhole.tilt")
    figures = figures_of(outcome, ZONE, short_s=300, elapsed_s=1.0)
    apart = figures["difference"]
    assert apart["only_in_force"] > 0
    assert apart["only_candidate"] == 0
    assert apart["both"] == figures["candidate"]["alerts"] > 0
    # What the higher limit no longer finds never lay above it.
    for one in apart["alerts_only_in_force"]:
        assert one["rule"] == "manhole.tilt"
        assert one["value"] < 50
    assert sum(day["alerts"] for day in figures["in_force"]["per_day"]) == figures["in_force"]["alerts"]
    assert figures["in_force"]["noisiest_devices"][0]["device"] in COVERS
    page = page_of(figures)
    assert page.count("<table>") >= 4
    assert "Only by those in force" in page


async def test_a_rule_switched_off_finds_nothing(city: asyncpg.Pool, tmp_path: Path) -> None:
    path = tmp_path / "off.yaml"
    path.write_text("rules:\n  - {key: manhole.tilt, enabled: false}\n")
    outcome = await tried(city, rules=read_rules(path))
    assert outcome.second is not None
    assert outcome.first.alerts == []
    assert len(outcome.second.alerts) == len(await stood(city, "manhole.tilt"))


async def test_what_cannot_be_tried_is_refused_with_a_sentence(pool: asyncpg.Pool) -> None:
    await register(pool, "mh-1")
    with pytest.raises(InvalidInputError, match="no device mh-2"):
        await tried(pool, devices=["mh-1", "mh-2"])
    with pytest.raises(InvalidInputError, match="time is empty"):
        await tried(pool, since=END)
    with pytest.raises(InvalidInputError, match="no device is of a kind"):
        await tried(pool, kind="bin", devices=["mh-1"])


COMMAND = [sys.executable, "-m", "service", "rules", "backtest"]


async def run(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, env=environment, timeout=60
    )


async def test_the_command_prints_tables_and_json_and_writes_a_page(
    city: asyncpg.Pool, city_url: str, tmp_path: Path
) -> None:
    rules, page = tmp_path / "steeper.yaml", tmp_path / "page.html"
    rules.write_text(STEEPER)
    environment = {**os.environ, "STREETWARDEN_DATABASE_URL": city_url, "COLUMNS": "160"}
    span = ["--from", START.isoformat(), "--to", END.isoformat()]
    command = [*COMMAND, *span, "--rule", str(rules), "--html", str(page)]
    shown = await run(command, environment)
    assert shown.returncode == 0, shown.stderr
    assert "only by the rules in force" in shown.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    told = await run([*COMMAND, *span, "--json"], environment)
    figures = json.loads(told.stdout)
    assert figures["in_force"]["alerts"] == len(await stood(city))
    refused = await run([*COMMAND, "--from", "soon"], environment)
    assert refused.returncode == 65
    assert "not 'soon'" in refused.stderr


async def test_ctrl_c_ends_it_with_a_sentence(city: asyncpg.Pool, city_url: str) -> None:
    environment = {**os.environ, "STREETWARDEN_DATABASE_URL": city_url}
    span = ["--from", START.isoformat(), "--to", END.isoformat()]
    async with city.acquire() as connection, connection.transaction():
        # It cannot end before it is interrupted.
        await connection.execute("LOCK TABLE reading IN ACCESS EXCLUSIVE MODE")
        running = await asyncio.create_subprocess_exec(*COMMAND, *span, stderr=asyncio.subprocess.PIPE, env=environment)
        waits = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%backtest' AND wait_event = 'relation'"
        )
        await until(lambda: city.fetchval(waits))
        running.send_signal(signal.SIGINT)
        _, said = await running.communicate()
    assert running.returncode == 130
    assert b"Stopped before the end" in said
    assert b"Traceback" not in said
