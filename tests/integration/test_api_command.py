"""`streetwarden api` as a process: it serves, it ends as asked, and it refuses what would be unsafe."""

import os
import signal
import subprocess
import sys
import time

import asyncpg
import httpx

from service.ports import free_port
from store.keys import create_key
from tests.support.api import NOW


def start(url: str, port: int, host: str = "127.0.0.1") -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREETWARDEN_")} | {
        "STREETWARDEN_DATABASE_URL": url,
        "STREETWARDEN_API_PORT": str(port),
        "STREETWARDEN_API_HOST": host,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "service", "api"], env=environment, stderr=subprocess.PIPE, text=True
    )


def wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            if httpx.get(f"http://127.0.0.1:{port}/v1/health/ready", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the API did not become ready")


def test_it_serves_and_ends_with_zero_on_both_signals(database_url: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        port = free_port()
        process = start(database_url, port)
        try:
            wait_until_ready(process, port)
            answer = httpx.get(f"http://127.0.0.1:{port}/v1/alerts", trust_env=False)
            assert (answer.status_code, "server" in answer.headers) == (401, False)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
            assert process.returncode == 0, said
            assert answer.headers["X-Request-Id"] in said
            assert "Traceback" not in said
        finally:
            process.kill()


async def test_it_refuses_to_listen_wider_without_a_key_and_to_work_on_another_schema(
    database_url: str, pool: asyncpg.Pool
) -> None:
    process = start(database_url, free_port(), "0.0.0.0")
    assert "there is no key yet" in process.communicate(timeout=60)[1]
    assert process.returncode == 78
    await create_key(pool, name="one", role="viewer", now=NOW)
    await pool.execute("UPDATE alembic_version SET version_num = 'older'")
    process = start(database_url, free_port())
    assert "revision older" in process.communicate(timeout=60)[1]
    assert process.returncode == 75
