"""The benchmark measures the real programs: a very short run gives every figure, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from service.bench.drained import spread
from service.bench.meter import memory_mib, usage
from service.bench.paced import Acknowledged
from service.bench.soak import Track
from tests.support.brokers import find_mosquitto

BENCH = [sys.executable, "-m", "service", "bench"]
SHORT = ["--devices", "40", "--messages", "6000", "--paced-rate", "200", "--paced-seconds", "4"]


def needs(broker: str) -> None:
    if broker == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
def test_a_short_run_gives_every_figure(broker: str, tmp_path: Path) -> None:
    needs(broker)
    out = tmp_path / "figures.json"
    command = [*BENCH, "ingest", "--broker", broker, *SHORT, "--json", str(out), "--workdir", str(tmp_path / "world")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=360)
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_bytes())
    assert (figures["broker"], figures["devices"], figures["messages"]) == (broker, 40, 6000)
    assert figures["messages_per_second"] > 0
    assert figures["paho_alone_messages_per_second"] > 0
    assert figures["paced_messages_per_second"] in {0, 200}
    assert 0 < figures["publish_to_commit_ms"]["p50"] <= figures["publish_to_commit_ms"]["p99"]
    assert figures["cpu_us_per_message"].keys() >= {"ingest", "postgres", "broker", "load"}
    assert 0 < figures["batch_messages"]["p50"] <= figures["batch_messages"]["max"] <= 2000
    assert figures["memory_mib"]["ingest"]["end"] > 10
    # Nothing is quarantined, and every message of the drained and the paced phase is settled.
    assert figures["outcomes"]["quarantined"] == figures["outcomes"]["ignored"] == 0
    assert figures["outcomes"]["accepted"] >= figures["outcomes"]["acknowledged"] > 6000
    assert figures["settings"]["database"]["fsync"] == "on"
    assert left_behind(tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [*BENCH, "ingest", "--devices", "4", "--workdir", str(tmp_path / "world")]
    bench = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 40
    while len(left_behind(tmp_path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(bench.pid, signal.SIGINT)
    assert bench.wait(40) == 130
    assert left_behind(tmp_path) == []


def left_behind(folder: Path) -> list[str]:
    """Programs that were started in or for this folder, the benchmark itself left out."""
    found: list[str] = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if f"{folder}/world/" in line and "service bench" not in line:
            found.append(line)
    return found


def test_a_process_that_works_is_seen_to_cost() -> None:
    pids = {"me": os.getpid()}
    before = usage(pids)
    sum(number * number for number in range(500_000))
    assert usage(pids).since(before).programs["me"] > 0
    assert memory_mib(pids)["me"] > 10


def test_acknowledgements_are_counted_as_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged.txt"
    acknowledged = Acknowledged(path)
    counts: list[int] = []
    for text in ("", "a 1\nb 1\n", "a 2", "\n"):
        with path.open("a", encoding="ascii") as file:
            file.write(text)
        counts.append(acknowledged.count())
    assert counts == [0, 2, 2, 3]
    assert all(earlier <= later for earlier, later in pairwise(counts))


def test_a_spread_of_batches() -> None:
    assert spread([]) == {"p50": 0, "p90": 0, "max": 0}
    assert spread([*range(1, 101)]) == {"p50": 51, "p90": 91, "max": 100}


@pytest.mark.parametrize(("mib_per_minute", "verdict"), [(0.0, "flat"), (0.05, "flat"), (2.0, "growing")])
def test_memory_is_flat_or_growing(mib_per_minute: float, verdict: str) -> None:
    minutes = [step / 12 for step in range(120)]
    track = Track(minutes, [100 + mib_per_minute * minute for minute in minutes])
    assert track.figures(10)["verdict"] == verdict
