"""Quarantine over HTTP and on the command line: who may ask for a re-drive, how it is followed, what expires."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from domain.role import Role
from service.cli import build_app
from service.settings import Settings
from store.quarantine_expiry import expire
from tests.support.api import client
from tests.support.brokers import Broker
from tests.support.flow import flow_on
from tests.support.ingest import ingesting
from tests.support.publishing import balance, body, publish, topic, until
from tests.support.redriving import NOW, delivery, redriver_of
from tests.support.registered import register


async def test_a_redrive_is_asked_for_over_http_and_done_by_a_running_worker(
    pool: Any, embedded_broker: Broker
) -> None:
    now = datetime.now(UTC)
    async with ingesting(pool, embedded_broker.url, Settings(quarantine_keep_days=1)), client(pool) as http:
        await publish(embedded_broker, *((topic("DC-1"), body(now, n, tilt_deg=float(n))) for n in range(3)))
        await until(lambda: pool.fetchval("SELECT count(*) = 3 FROM quarantine"))
        (first, *_) = (await http.get("/v1/quarantine?state=held")).json()["items"]
        assert (first["redrivable"], first["held"], first["why_not"]) == (True, 1, None)
        await register(pool, "DC-1")
        asked = await http.post("/v1/quarantine/redrive", json={"reason": "unknown_device"})
        assert asked.status_code == 202
        assert (asked.json()["state"], asked.json()["wanted"]) == ("queued", 3)

        async def done() -> Any:
            job = (await http.get(f"/v1/quarantine/redrive/{asked.json()['id']}")).json()
            return job if job["state"] == "done" else None

        job = await until(done)
        assert (job["counts"]["taken"], job["counts"]["stored"], job["asked_by"]) == (3, 3, "test admin")
        whole = (await http.get(f"/v1/quarantine/{first['id']}")).json()
        assert (whole["state"], whole["redrivable"], whole["receipts"]) == ("redriven", False, [])
    assert (await balance(pool))["stored"] == 3


async def test_only_engineers_and_admins_may_ask_and_exactly_one_thing(pool: Any) -> None:
    flow = await flow_on(pool)
    await flow.settle([delivery(b"{")], 1)
    for role, status in ((Role.AUDITOR, 403), (Role.OPERATOR, 403), (Role.ENGINEER, 202), (Role.ADMIN, 202)):
        async with client(pool, role) as http:
            assert (await http.post("/v1/quarantine/redrive", json={"source": "native"})).status_code == status
    async with client(pool) as http:
        for wrong in ({}, {"source": "native", "reason": "not_json"}, {"reason": "none such"}, {"id": 0}):
            assert (await http.post("/v1/quarantine/redrive", json=wrong)).status_code == 422
        assert (await http.post("/v1/quarantine/redrive", json={"id": 999})).status_code == 404
        assert (await http.get("/v1/quarantine/redrive/999")).status_code == 404


async def test_what_lies_long_lets_go_of_its_bytes_then_of_its_row_and_may_come_again(pool: Any) -> None:
    flow = await flow_on(pool)
    await flow.settle([delivery(b"{"), delivery(b"{", 1), delivery(b"[", 2)], 1)
    counted = await balance(pool)
    days = timedelta(days=90)
    async with pool.acquire() as connection:
        gone = await expire(connection, NOW + days + timedelta(seconds=1.5), days)
        assert (gone.emptied, gone.removed) == (1, 0)
        row = await pool.fetchrow("SELECT state, held, count, payload, size FROM quarantine WHERE state <> 'held'")
        assert tuple(row) == ("expired", 0, 2, b"", 1)
        assert await pool.fetchval("SELECT count(*) FROM quarantine_receipt") == 1
        assert await balance(pool) == counted
        later = NOW + days + timedelta(days=1)
        await flow.settle([delivery(b"{", (later - NOW).total_seconds())], 2)
        row = await pool.fetchrow("SELECT state, held, count, payload FROM quarantine WHERE payload = '{'")
        assert tuple(row) == ("held", 1, 3, b"{")
        await expire(connection, NOW + days + timedelta(seconds=3), days)
        assert (await expire(connection, NOW + 2 * days + timedelta(seconds=3), days)).removed == 1
        assert await pool.fetchval("SELECT count(*) FROM quarantine") == 1


@pytest.fixture
def terminal(database_url: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("STREETWARDEN_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


async def test_the_command_line_lists_shows_and_says_when_no_worker_runs(pool: Any, terminal: CliRunner) -> None:
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW, 1, tilt_deg=1.0)), delivery(b"{", 1)], 1)

    async def run(*words: str) -> Any:
        return await asyncio.to_thread(terminal.invoke, build_app(), ["quarantine", *words])

    listed = await run("list", "--reason", "not_json")
    assert ("not_json" in listed.stdout, "unknown_device" in listed.stdout) == (True, False)
    number = await pool.fetchval("SELECT id FROM quarantine WHERE reason = 'unknown_device'")
    shown = await run("show", str(number))
    assert "it can be settled again" in shown.stdout
    assert NOW.isoformat() in shown.stdout
    refused = await run("redrive")
    assert "exactly one of" in str(refused.exception)
    waiting = await run("redrive", "--id", str(number), "--patience", "0.1")
    assert "is `streetwarden ingest` running?" in str(waiting.exception)
    await register(pool, "DC-1")
    driving = asyncio.create_task(_drive(flow))
    done = await run("redrive", "--id", str(number), "--patience", "20")
    driving.cancel()
    assert done.exit_code == 0, done.exception
    # The job that nobody had taken up came first.
    assert "0 of 1 receipts taken" in done.stdout
    assert await pool.fetchval("SELECT count(*) FROM reading") == 1
    assert "settled again at" in (await run("show", str(number))).stdout
    gone = await run("expire", "--older-than-days", "0")
    assert "1 messages" in gone.stdout


async def _drive(flow: Any) -> None:
    while True:
        await redriver_of(flow).look()
        await asyncio.sleep(0.05)
