"""A start of ingest meets a database that is away for a moment, or for good."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.patience import patiently
from store.pool import DatabaseUnavailableError, open_pool
from tests.chaos.neighbours import Database, Ingest, ingest_environment, run_command, wait_for
from tests.support.brokers import Broker


def test_ingest_waits_for_a_database_that_is_started_again(tmp_path: Path, embedded_broker: Broker) -> None:
    database = Database(tmp_path, {})
    database.revive()
    environment = ingest_environment(tmp_path, database.url, embedded_broker.url)
    run_command(environment, "migrate")
    database.stop()
    ingest = Ingest(environment, tmp_path / "ingest.log")
    ingest.start()
    try:
        wait_for(lambda: ingest.told("database_away"), 60, "ingest misses its database")
        database.revive()
        wait_for(lambda: ingest.told("broker_connected"), 60, "ingest is up")
        assert ingest.stop(signal.SIGTERM) == 0
    finally:
        ingest.stop(signal.SIGKILL)
        database.stop()


def test_a_wrong_password_is_told_at_once(database_url: str) -> None:
    head, _, tail = database_url.partition("@")
    wrong = f"{head.rpartition(':')[0]}:wrong@{tail}"
    done = subprocess.run(
        [sys.executable, "-m", "service", "ingest"],
        env={**os.environ, "STREETWARDEN_DATABASE_URL": wrong, "STREETWARDEN_MQTT_URL": "mqtt://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 69
    assert "password authentication failed" in done.stderr
    assert "database_away" not in done.stderr


async def test_patience_ends(tmp_path: Path) -> None:
    async def open_nothing() -> "asyncpg.Pool[asyncpg.Record]":
        return await open_pool(f"postgresql://u:p@/d?host={tmp_path}", application_name="test")

    with pytest.raises(DatabaseUnavailableError):
        _ = await patiently(open_nothing, patience_s=0.2)


async def test_what_waiting_cannot_help_is_raised_at_once() -> None:
    calls: list[float] = []

    async def fail() -> Any:
        calls.append(asyncio.get_running_loop().time())
        raise asyncpg.UndefinedTableError("no such table")

    with pytest.raises(asyncpg.UndefinedTableError):
        await patiently(fail)
    assert len(calls) == 1
