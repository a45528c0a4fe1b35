"""``score`` and ``crews`` as people start them, on a service that runs: exit codes, files and sentences."""

import asyncio
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import orjson

from domain.role import Role
from simulators.crews.paths import read_paths
from simulators.fleet import FleetDevice
from simulators.registry import write_registry
from simulators.truth import Purpose, write_run, write_truth
from store.keys import create_key
from tests.support.api_server import serving
from tests.support.brokers import Broker
from tests.support.documents import ROOT
from tests.support.ingest import ingesting
from tests.support.small_run import FACTS, SmallRun, compose, play, register_city


def write_folder(folder: Path, run: SmallRun, purpose: Purpose = Purpose.JUDGING) -> None:
    """The files of a run, as a player leaves them."""
    folder.mkdir()
    write_truth(folder, run.faults)
    write_run(folder, replace(run.info, purpose=purpose))
    entries = [FleetDevice(name, about.kind, "511703", about.asset or name) for name, about in FACTS.devices.items()]
    write_registry(folder / "devices.csv", [replace(entry, interval_s=60.0) for entry in entries])


async def simulator(key: str, *arguments: str) -> tuple[int, str]:
    """Run a command; its exit code and all it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        *arguments,
        cwd=ROOT,
        env={"PYTHONPATH": "src:.", "PATH": os.defpath, "STREETSIM_API_KEY": key, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(90):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def test_a_run_is_worked_and_judged_from_the_command_line(
    pool: asyncpg.Pool, embedded_broker: Broker, tmp_path: Path
) -> None:
    await register_city(pool)
    run = compose(datetime.now(UTC) - timedelta(hours=3))
    judging, tuning = tmp_path / "judging", tmp_path / "tuning"
    write_folder(judging, run)
    write_folder(tuning, run, Purpose.TUNING)
    key = await create_key(pool, name="test", role=Role.OPERATOR, now=datetime.now(UTC))
    async with serving(pool) as url:
        # A bin is full when the crews look: the first third of the run is played.
        until_full = len(run.messages) * 2 // 6
        async with ingesting(pool, embedded_broker.url):
            await play(pool, embedded_broker.url, run.messages[:until_full])
        crews = ["crews", "--run", str(judging), "--api", url, "--duration", "2", "--poll", "0.2"]
        code, told = await simulator(key, *crews)
        assert code == 0, told
        assert "Not possible yet over the API, which offers acknowledge:" in told
        assert [path.fault for path in read_paths(judging)] == ["F1"]
        async with ingesting(pool, embedded_broker.url):
            await play(pool, embedded_broker.url, run.messages[until_full:])

        files = ["--json", str(tmp_path / "score.json"), "--html", str(tmp_path / "score.html")]
        asked = ["--min-recall", "1", "--min-precision", "1", "--max-delay-p99", "600", "--max-duplicates", "0"]
        code, told = await simulator(key, "score", "--run", str(judging), "--api", url, *asked, *files)
        assert code == 0, told
        assert "This was a judging run, and every threshold is kept." in told
        assert "100.0 % of 6 expected alerts in time" in told
        score = orjson.loads((tmp_path / "score.json").read_bytes())
        assert (score["whole"]["recall"], score["purpose"]) == (1.0, "judging")
        assert "查全率" in (tmp_path / "score.html").read_text(encoding="utf-8")

        code, told = await simulator(
            key, "score", "--run", str(judging), "--api", url, "--min-recall", "1", "--max-delay-p99", "1"
        )
        assert code == 1, told
        assert "is above --max-delay-p99 1" in told
        assert "is below --min-recall" not in told

        code, told = await simulator(key, "score", "--run", str(tuning), "--api", url)
        assert code == 0, told
        assert "This was a tuning run: it shows where to work, and judges nothing." in told
        code, told = await simulator(key, "score", "--run", str(tuning), "--api", url, "--min-recall", "0.5")
        assert code == 78, told
        assert "is for tuning" in told
        code, told = await simulator("wrong", "score", "--run", str(judging), "--api", url)
        assert (code, "refuses /v1/alerts (401)" in told) == (1, True), told
        code, told = await simulator(key, "score", "--run", str(tmp_path / "nowhere"), "--api", url)
        assert (code, "run.json cannot be read" in told) == (65, True), told
