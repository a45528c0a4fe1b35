"""``streetwarden run`` and its embedded programs: they start, stop, survive a kill, and say what is wrong."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from service.children import Child, running, start
from service.data_dir import held, require_room
from service.embedded.nats import EmbeddedNats
from service.embedded.postgres import EmbeddedPostgres
from service.failures import (
    ChildDiedError,
    DataInUseError,
    DiskFullError,
    NoPermissionError,
    PortInUseError,
)
from service.ports import free_port
from service.supervise import Supervisor, keep_short
from tests.support.postgres import NOTHING_FORCED_TO_DISK


@pytest.fixture
def postgres(tmp_path: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(tmp_path / "postgres", tmp_path / "logs" / "postgres.log", NOTHING_FORCED_TO_DISK)


@pytest.fixture
def nats(tmp_path: Path) -> EmbeddedNats:
    return EmbeddedNats(tmp_path / "nats", tmp_path / "logs" / "nats-server.log", port=free_port())


async def test_a_second_start_reuses_the_data_also_after_a_kill(postgres: EmbeddedPostgres) -> None:
    with running(postgres.prepare()) as child:
        await execute(postgres.url, "CREATE TABLE kept AS SELECT 1 AS one")
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait(10)
    with running(postgres.prepare()):
        await execute(postgres.url, "TABLE kept")


async def test_the_database_serves_its_own_role_only(postgres: EmbeddedPostgres) -> None:
    with running(postgres.prepare()):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await execute(postgres.url.replace(":", ":wrong", 2), "SELECT 1")
        folder = postgres.url.partition("host=")[2]
        assert "tcp" not in folder
        server = psutil.Process(int((postgres.data / "postmaster.pid").read_text().split()[0]))
        assert server.net_connections(kind="tcp") == []


def test_a_killed_child_is_one_sentence(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(ChildDiedError, match=r"postgres was killed by SIGKILL.*postgres\.log") as caught:
        kill_and_watch(postgres)
    assert caught.value.exit_code == 70


def kill_and_watch(postgres: EmbeddedPostgres) -> None:
    with Supervisor() as all_of_it:
        child = all_of_it.start(postgres.prepare())
        os.kill(child.process.pid, signal.SIGKILL)
        all_of_it.watch()


def test_a_port_in_use_is_one_sentence(nats: EmbeddedNats) -> None:
    with socket.create_server(("127.0.0.1", nats.port)), pytest.raises(PortInUseError, match="STREETWARDEN_MQTT_PORT"):
        nats.prepare()


def test_sigterm_stops_every_child_in_reverse_order(nats: EmbeddedNats, postgres: EmbeddedPostgres) -> None:
    children: list[Child] = []
    with Supervisor() as all_of_it:
        children += [all_of_it.start(postgres.prepare()), all_of_it.start(nats.prepare())]
        os.kill(os.getpid(), signal.SIGTERM)
        all_of_it.watch()
    assert not any(child.alive for child in children)


def test_children_die_with_a_parent_that_is_killed(nats: EmbeddedNats, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from service.embedded.nats import EmbeddedNats\n"
        "from service.children import start\n"
        f"nats = EmbeddedNats(Path({str(nats.folder)!r}), Path({str(nats.log_file)!r}), port={nats.port})\n"
        "child = start(nats.prepare())\n"
        "child.wait_ready()\n"
        "print(child.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=90)
    orphan = int(done.stdout)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(orphan) and psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the broker outlived its parent"
        time.sleep(0.02)
    again = start(nats.prepare())
    again.wait_ready()
    again.stop()


def test_the_data_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(DataInUseError, match=f"process {os.getpid()}"), held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="Make room"):
        require_room(tmp_path, needed=2**62)


def test_a_data_directory_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoPermissionError, match="data directory"), held(tmp_path / "file"):
        pass


def test_a_long_log_is_kept_short(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"a" * 100)
    keep_short(log, limit=50)
    assert log.stat().st_size == 0
    assert (tmp_path / "x.log.1").stat().st_size == 100


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREETWARDEN_")}
    return {
        **kept,
        "STREETWARDEN_DATA_DIR": str(tmp_path / "data"),
        "STREETWARDEN_API_PORT": str(free_port()),
        "STREETWARDEN_MQTT_PORT": str(free_port()),
    }


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_run_says_which_port_is_in_use_and_ends_with_its_code(environment: dict[str, str], busy_port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "run", "--no-fleet"],
        env={**environment, "STREETWARDEN_API_PORT": str(busy_port)},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 71
    assert done.stderr.count("\n") == 1
    assert f"Port {busy_port}" in done.stderr
    assert "STREETWARDEN_API_PORT" in done.stderr


def test_a_misspelt_setting_is_one_sentence(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "migrate"],
        env={**environment, "STREETWARDEN_DATABASE": "x"},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 78
    assert "no setting STREETWARDEN_DATABASE;" in done.stderr


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
