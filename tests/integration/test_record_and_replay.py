"""Real traffic from one real broker into another: the same topics, bytes and flags, in the same order."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from domain.errors import InvalidInputError
from simulators.address import read_address
from simulators.cli import build_app
from simulators.listener import Listener
from simulators.publisher import Protocol, Publisher, Word
from simulators.recording import Recorded, Recorder, read_recording
from simulators.replaying import shift_times
from tests.support.brokers import Broker, nats_broker
from tests.support.documents import ROOT
from tests.support.small_run import publish_all

TRAFFIC = [
    ("city/v1/511703/manhole/mh-1/telemetry", b'{"ts": 1782907200123, "values": {"tilt_deg": 1.5}}'),
    ("city/v1/000000/service/streetwarden-ingest-1/heartbeat", b"1782907200123456"),
    ("city/v1/511703/manhole/mh-1/status", b"online"),
    ("application/5/device/24e124/event/up", bytes(range(256))),
    ("senml/x", b""),
]
KEPT = [message for message in TRAFFIC if not message[0].endswith("heartbeat")]


def in_the_background(*arguments: str) -> Callable[[], None]:
    """Start a command of the simulator; what is returned waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": "src:.", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def wait() -> None:
        try:
            told, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0, told

    return wait


def wait_for_subscription(broker: Broker, out: Path) -> None:
    """Send until something is recorded: nobody tells a publisher that another has subscribed."""
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        if out.exists() and probes(broker):
            return
        time.sleep(0.1)
    raise AssertionError("the recorder did not begin")


def probes(broker: Broker) -> bool:
    """Whether a message finds a subscriber: MQTT 5 brokers say so."""
    words: list[Word] = []
    publisher = Publisher(
        read_address(broker.url), client_id="probe", protocol=Protocol.V5, settled=lambda _, word: words.append(word)
    )
    publisher.connect()
    publisher.publish("city/v1/000000/service/probe/heartbeat", b"0")
    give_up_at = time.monotonic() + 10
    while publisher.backlog and time.monotonic() < give_up_at:
        publisher.turn(0.05)
    publisher.close()
    return words == [Word.TAKEN]


def pairs(messages: list[Recorded]) -> list[tuple[str, bytes]]:
    return [(message.topic, message.payload) for message in messages]


@pytest.fixture
def first_recording(mosquitto: Broker, tmp_path: Path) -> Path:
    """What was recorded of the traffic."""
    out = tmp_path / "first.jsonl.gz"
    wait = in_the_background("record", "--mqtt-url", mosquitto.url, "--out", str(out), "--most", str(len(KEPT)))
    wait_for_subscription(mosquitto, out)
    publish_all(mosquitto.url, TRAFFIC)
    wait()
    return out


def test_a_recording_replayed_and_recorded_again_is_the_same(
    first_recording: Path, mosquitto: Broker, tmp_path: Path
) -> None:
    first = list(read_recording(first_recording))
    assert pairs(first) == KEPT  # without the service's own heartbeats
    assert {message.qos for message in first} == {1}
    again = tmp_path / "again.jsonl.gz"
    wait = in_the_background("record", "--mqtt-url", mosquitto.url, "--out", str(again), "--most", str(len(KEPT)))
    wait_for_subscription(mosquitto, again)
    outcome = CliRunner().invoke(build_app(), ["replay", str(first_recording), "--mqtt-url", mosquitto.url])
    assert outcome.exit_code == 0, outcome.output
    assert f"{len(KEPT)} messages sent: {len(KEPT)} taken" in outcome.output
    wait()
    second = list(read_recording(again))
    assert [(one.topic, one.payload, one.qos, one.retain) for one in second] == [
        (one.topic, one.payload, one.qos, one.retain) for one in first
    ]


def test_a_recording_goes_into_another_broker_with_its_times_moved(first_recording: Path, tmp_path: Path) -> None:
    heard: list[Recorded] = []
    with nats_broker(tmp_path) as other:
        listener = Listener(read_address(other.url), ["#"], client_id="other", heard=heard.append)
        listener.connect()
        start = "2027-01-01T00:00:00Z"
        arguments = ["replay", str(first_recording), "--mqtt-url", other.url, "--shift-times", "--start", start]
        outcome = CliRunner().invoke(build_app(), [*arguments, "--speed", "0"])
        assert outcome.exit_code == 0, outcome.output
        give_up_at = time.monotonic() + 20
        while len(heard) < len(KEPT) and time.monotonic() < give_up_at:
            listener.turn(0.05)
        listener.close()
    sent, came = list(read_recording(first_recording)), pairs(heard)
    assert came[1:] == KEPT[1:]  # what has no time of ours stays as it is
    moved = datetime.fromisoformat(start) - sent[0].at
    assert came[0] == pairs([shift_times(sent[0], moved)])[0] != KEPT[0]


def test_the_spacing_is_kept(mosquitto: Broker, tmp_path: Path) -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    recorder = Recorder(tmp_path / "r.jsonl.gz", ["#"])
    for number in range(3):
        recorder.add(Recorded(at + timedelta(seconds=number), "a", b"x", qos=number % 2))
    recorder.close()
    began = time.monotonic()
    arguments = ["replay", str(tmp_path / "r.jsonl.gz"), "--mqtt-url", mosquitto.url, "--speed", "4"]
    outcome = CliRunner().invoke(build_app(), arguments)
    assert time.monotonic() - began >= 0.5  # two seconds at four times the speed; a busy machine only takes longer
    assert "3 messages sent: 2 taken, 1 unheard" in outcome.output
    assert outcome.exit_code == 0


def test_a_registry_of_the_recording_can_be_written(first_recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "devices.csv"
    outcome = CliRunner().invoke(build_app(), ["replay", str(first_recording), "--registry", str(out)])
    assert outcome.exit_code == 0, outcome.output
    assert "1 devices written" in outcome.output
    assert "mh-1,manhole,511703,A-mh-1" in out.read_text()


def test_a_start_without_shifting_is_refused(first_recording: Path) -> None:
    outcome = CliRunner().invoke(build_app(), ["replay", str(first_recording), "--start", "2027-01-01T00:00:00Z"])
    assert isinstance(outcome.exception, InvalidInputError)
    assert "needs --shift-times" in str(outcome.exception)
