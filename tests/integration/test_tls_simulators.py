"""The simulator and the load generator publish over TLS, and say in one sentence why they cannot."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import find_mosquitto
from tests.support.secure import LOGIN, SecureBroker, secure_mosquitto, secure_nats


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with secure_mosquitto(tmp_path_factory.mktemp("secure"), program) as running:
        yield running


def run(url: str, environment: dict[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    told = {**os.environ, "STREETWARDEN_MQTT_URL": url, **environment}
    argv = [sys.executable, "-m", *command]
    return subprocess.run(argv, env=told, capture_output=True, text=True, check=False, timeout=90)


def trust(broker: SecureBroker, *, known: bool = False) -> dict[str, str]:
    files = {"STREETWARDEN_MQTT_CA": str(broker.authority.cert)}
    if known:
        files |= {"STREETWARDEN_MQTT_CERT": str(broker.client.cert), "STREETWARDEN_MQTT_KEY": str(broker.client.key)}
    return files


def load(url: str, environment: dict[str, str], count: int) -> int:
    done = run(url, environment, "simulators.load", "--devices", "200", "--count", str(count), "--window", "5000")
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["acknowledged"])


def test_the_load_generator_is_acknowledged_to_the_last_message(broker: SecureBroker) -> None:
    assert load(broker.url("tls"), trust(broker), 10_000) == 10_000
    assert load(broker.url("mutual"), trust(broker, known=True), 100) == 100
    assert load(broker.url("password", login=LOGIN), trust(broker), 100) == 100


def test_the_load_generator_speaks_tls_with_nats(tmp_path: Path) -> None:
    with secure_nats(tmp_path / "nats") as nats:
        assert load(nats.url("tls"), trust(nats), 3_000) == 3_000


@pytest.mark.parametrize("protocol", ["5", "3"])
def test_the_simulator_is_acknowledged_to_the_last_message(broker: SecureBroker, tmp_path: Path, protocol: str) -> None:
    summary = tmp_path / "summary.json"
    command = ["run", "--devices", "20", "--rate", "200", "--duration", "2", "--protocol", protocol, "--quiet"]
    done = run(broker.url("mutual"), trust(broker, known=True), "simulators", *command, "--json", str(summary))
    assert done.returncode == 0, done.stderr
    told = json.loads(summary.read_text())
    assert told["sent"] > 0
    # Nobody listens there, which MQTT 5 tells; it was heard by the broker all the same.
    assert told["outstanding"] == 0


def test_a_scenario_is_acknowledged_to_the_last_message(broker: SecureBroker, tmp_path: Path) -> None:
    city, summary = tmp_path / "city", tmp_path / "summary.json"
    assert run("", {}, "simulators", "city", "--devices", "100", "--out", str(city), "--quiet").returncode == 0
    played = ("--scenario", "quiet-day", "--duration", "6h", "--speed", "20000", "--quiet", "--json", str(summary))
    done = run(broker.url("tls"), trust(broker), "simulators", "play", "--run", str(city), *played)
    assert done.returncode == 0, done.stderr
    told = json.loads(summary.read_text())
    assert told["acknowledged"] == told["sent"] > 500


@pytest.mark.parametrize("command", [("simulators.load", "--count", "1"), ("simulators", "run", "--devices", "1")])
def test_what_fails_is_one_sentence_without_the_password(broker: SecureBroker, command: tuple[str, ...]) -> None:
    for listener, files, wanted in (
        ("password", {}, "STREETWARDEN_MQTT_CA"),
        ("expired", trust(broker), "has expired"),
        ("elsewhere", trust(broker), "another host"),
    ):
        done = run(broker.url(listener, login=LOGIN), files, *command)
        assert done.returncode == 69, done.stderr
        assert wanted in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "s3cret" not in done.stderr
