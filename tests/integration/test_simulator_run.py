"""The simulator against real brokers: what it says was acknowledged has arrived, whatever happens on the way."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from ingest.catalogue import load_formats
from tests.support.brokers import Broker

ROOT = Path(__file__).parents[2]


class Listener:
    """Subscribes to everything, as the service does, and keeps what arrives."""

    def __init__(self, port: int) -> None:
        self.messages: list[MQTTMessage] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe("#", qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed.set()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.messages.append(message)

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + 10
        while len(self.messages) < count and time.monotonic() < until:
            time.sleep(0.02)

    def native_ids(self) -> set[str]:
        return {
            f"{message.topic.split('/')[4]} {json.loads(message.payload)['seq']}"
            for message in self.messages
            if message.topic.endswith("/telemetry")
        }

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(mosquitto: Broker) -> Iterator[Listener]:
    listening = Listener(mosquitto.port)
    yield listening
    listening.close()


def start_simulator(module: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": "src:.", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_simulator(module: str, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    process = start_simulator(module, *arguments)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def play(*arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    return run_simulator("simulators", "run", "--quiet", *arguments, code=code)


@pytest.mark.parametrize("source", load_formats())
@pytest.mark.parametrize("protocol", ["5", "3"])
def test_every_acknowledged_message_arrives(
    mosquitto: Broker, listener: Listener, tmp_path: Path, source: str, protocol: str
) -> None:
    summary = tmp_path / "summary.json"
    arguments = ("--devices", "20", "--rate", "200", "--duration", "1", "--faults", "--fault-share", "0.5")
    play("--mqtt-url", mosquitto.url, "--protocol", protocol, "--format", source, "--json", str(summary), *arguments)
    told = json.loads(summary.read_bytes())
    assert told["sent"] + told["silent"] == 200
    assert told["acknowledged"] == told["sent"]
    assert told["unheard"] == told["refused"] == told["outstanding"] == 0
    assert sum(told["faults"].values()) == 10
    listener.wait_for(told["acknowledged"])
    assert len(listener.messages) == told["acknowledged"]
    addresses = [load_formats()[source].read_topic(message.topic) for message in listener.messages]
    assert None not in addresses


def test_the_same_seed_publishes_the_same_values(mosquitto: Broker, listener: Listener, tmp_path: Path) -> None:
    registry = tmp_path / "fleet.csv"
    run_simulator("simulators", "fleet", "--devices", "12", "--seed", "4", "--out", str(registry))
    runs: list[list[tuple[str, int, str]]] = []
    for rate, duration in (("100", "0.6"), ("400", "0.15")):
        listener.messages.clear()
        seeded = (
            "--registry",
            str(registry),
            "--seed",
            "4",
            "--fault",
            "offline",
            "--fault",
            "tilted",
            "--fault-share",
            "1",
        )
        play("--mqtt-url", mosquitto.url, *seeded, "--rate", rate, "--duration", duration)
        listener.wait_for(20)  # twelve in the first round; then all but two tilted covers are silent
        bodies = [(message.topic, json.loads(message.payload)) for message in listener.messages]
        runs.append([(topic, body["seq"], str(body["values"])) for topic, body in bodies])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 20
    assert any("'tilt_deg': 24.0" in values for _, _, values in runs[0])


def test_what_nobody_subscribed_to_is_counted_apart(mosquitto: Broker, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    play("--mqtt-url", mosquitto.url, "--rate", "100", "--duration", "0.5", "--json", str(summary))
    told = json.loads(summary.read_bytes())
    assert told["unheard"] == told["sent"] == 50
    assert told["acknowledged"] == 0


def test_ctrl_c_ends_a_play_with_its_summary(mosquitto: Broker, tmp_path: Path) -> None:
    process = start_simulator(
        "simulators", "run", "--quiet", "--mqtt-url", mosquitto.url, "--ids", str(tmp_path / "ids")
    )
    until = time.monotonic() + 20
    while not (tmp_path / "ids").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "What was sent and acknowledged" in output


def test_the_broker_that_comes_along_is_spoken_to_in_its_own_version(embedded_broker: Broker, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    done = play("--mqtt-url", embedded_broker.url, "--rate", "100", "--duration", "0.5", "--json", str(summary))
    assert "3.1.1" in done.stdout
    assert json.loads(summary.read_bytes())["acknowledged"] == 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("simulators", "run", "--quiet", "--protocol", "5"),
        ("simulators", "run", "--quiet", "--protocol", "3"),
        ("simulators.load", "--reconnect", "--connections", "2"),
    ],
    ids=["run-5", "run-3", "load"],
)
def test_a_broker_that_goes_and_comes_back_gets_everything(
    mosquitto: Broker, listener: Listener, tmp_path: Path, command: tuple[str, ...]
) -> None:
    ids, summary = tmp_path / "ids", tmp_path / "summary.json"
    outputs = ("--ids", str(ids), "--json", str(summary))
    process = start_simulator(
        *command, "--mqtt-url", mosquitto.url, "--devices", "50", "--rate", "500", "--duration", "4", *outputs
    )
    time.sleep(2)
    mosquitto.stop()
    time.sleep(0.3)
    mosquitto.start()
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    told = json.loads(summary.read_bytes())
    acknowledged = ids.read_text(encoding="ascii").splitlines()
    assert told["reconnects"] >= 1
    assert told["outstanding"] == 0
    assert len(acknowledged) == len(set(acknowledged)) == told["acknowledged"]
    listener.wait_for(told["sent"])
    assert set(acknowledged) <= listener.native_ids()


def test_load_publishes_what_was_asked_for_and_tells_it_as_json(
    mosquitto: Broker, listener: Listener, tmp_path: Path
) -> None:
    ids = tmp_path / "ids"
    arguments = ("--devices", "100", "--count", "5000", "--connections", "3", "--ids", str(ids))
    told = json.loads(run_simulator("simulators.load", "--mqtt-url", mosquitto.url, *arguments).stdout)
    assert told["sent"] == told["acknowledged"] == 5000
    assert 0 < told["highest_backlog"] <= 3000
    listener.wait_for(5000)
    assert listener.native_ids() == set(ids.read_text(encoding="ascii").splitlines())
    times = {(message.topic, json.loads(message.payload)["ts"]) for message in listener.messages}
    assert len(times) == 5000, "the service tells a device's readings apart by their times"


def test_load_keeps_its_pace(mosquitto: Broker, listener: Listener) -> None:
    del listener
    told = json.loads(
        run_simulator("simulators.load", "--mqtt-url", mosquitto.url, "--rate", "300", "--duration", "2").stdout
    )
    assert 550 <= told["sent"] <= 600


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("simulators", ("run", "--quiet", "--rate", "1000")), ("simulators.load", ("--rate", "1000"))],
)
def test_a_broker_lost_for_good_or_never_there_is_one_sentence(module: str, arguments: tuple[str, ...]) -> None:
    done = run_simulator(module, *arguments, "--mqtt-url", "mqtt://127.0.0.1:1", code=69)
    assert "no MQTT broker answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--kind", "lamppost"), "the kinds are bin, gas_meter, manhole, streetlight"),
        (("run", "--fault", "melted"), "there are bin."),
        (("run", "--format", "xml"), "the formats are"),
        (("run", "--registry", "none.csv"), "cannot be read"),
        (("run", "--mqtt-url", "nonsense"), "mqtt://user:password@host:port"),
        (("fleet", "--district", "5117", "--out", "never.csv"), "6 digits"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    done = run_simulator("simulators", *arguments, code=65)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_kinds_lists_every_fault_and_rule_in_full() -> None:
    table = run_simulator("simulators", "kinds").stdout
    assert "streetlight.lamp_failure" in table
    assert "gas_meter.pressure_low" in table
