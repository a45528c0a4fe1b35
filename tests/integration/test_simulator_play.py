"""A city is laid out, a scenario is played against a real broker, a fault is injected; all of it by command."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from domain.errors import InvalidInputError
from domain.role import Role
from domain.scenario_time import read_scenario_time
from simulators.device_lookup import ask_for_device
from simulators.registry import read_registry
from simulators.service_api import ServiceApi
from simulators.truth import Purpose, read_run, read_truth
from tests.support.api import client, registered
from tests.support.brokers import Broker

ROOT = Path(__file__).parents[2]
TO_COME = "2026-01-01T00:00:00Z*60@2126-01-01T00:00:00Z"


class Listener:
    """Subscribes to everything and keeps, for each device, its messages in the order in which they came."""

    def __init__(self, port: int) -> None:
        self.messages: defaultdict[str, list[bytes]] = defaultdict(list)
        self.count = 0
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(20)

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe("#", qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed.set()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.messages[message.topic].append(bytes(message.payload))
        self.count += 1

    def take(self, count: int) -> dict[str, list[bytes]]:
        """Wait for so many messages, and begin anew."""
        until = time.monotonic() + 60
        while self.count < count and time.monotonic() < until:
            time.sleep(0.02)
        assert self.count == count
        taken, self.messages, self.count = dict(self.messages), defaultdict(list), 0
        return taken

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(mosquitto: Broker) -> Iterator[Listener]:
    listening = Listener(mosquitto.port)
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    simulate("city", "--devices", "200", "--seed", "7", "--out", str(folder), "--quiet")
    return folder


def simulate(*arguments: str, code: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": "src:.", "PATH": "/usr/bin:/bin", "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_the_bytes_of_each_device_depend_on_neither_speed_nor_connections(
    mosquitto: Broker, listener: Listener, city: Path, tmp_path: Path
) -> None:
    runs: list[dict[str, list[bytes]]] = []
    truths: list[bytes] = []
    summary = tmp_path / "summary.json"
    for speed, connections, window in (("3600", "1", "1000"), ("20000", "5", "20")):
        told = (
            *("play", "--run", str(city), "--scenario", "mixed-week", "--duration", "6h", "--quiet"),
            *("--speed", speed, "--connections", connections, "--window", window),
            *("--mqtt-url", mosquitto.url, "--json", str(summary)),
        )
        simulate(*told)
        counted = json.loads(summary.read_bytes())
        assert counted["sent"] == counted["acknowledged"] > 1000
        runs.append(listener.take(counted["sent"]))
        truths.append((city / "truth.jsonl").read_bytes())
    assert runs[0] == runs[1]
    assert truths[0] == truths[1]


def test_a_play_writes_its_truth_and_what_was_played(mosquitto: Broker, listener: Listener, city: Path) -> None:
    clock = simulate("clock", "--start", "2026-06-08T00:00:00+08:00", "--speed", "7200", "--in", "4").stdout.strip()
    shared = read_scenario_time(clock)
    played = simulate(
        *(
            "play",
            "--run",
            str(city),
            "--scenario",
            "mixed-week",
            "--purpose",
            "judging",
            "--duration",
            "4h",
            "--quiet",
        ),
        *("--mqtt-url", mosquitto.url),
        STREETWARDEN_SIM_CLOCK=clock,
    )
    assert "seed 971 (judging)" in played.stdout
    run = read_run(city)
    assert (run.scenario, run.purpose, run.seed, run.speed) == ("mixed-week", Purpose.JUDGING, 971, 7200.0)
    assert run.sim_clock == clock
    assert run.start == shared.start
    assert run.end == shared.start + timedelta(hours=4)
    assert run.drill
    assert run.more["devices"] == 200
    listener.take(run.messages)
    truth = read_truth(city)
    assert truth
    known = {device.name for device in read_registry(city / "devices.csv")}
    for fault in truth:
        assert set(fault.devices) <= known
        assert run.start <= fault.begins < run.end
    # It began when the clock said so, and not before.
    assert shared.at(datetime.now(UTC)) >= run.end


def test_an_interrupted_play_says_where_it_ended(mosquitto: Broker, listener: Listener, city: Path) -> None:
    told = ("play", "--run", str(city), "--scenario", "mixed-week", "--quiet", "--speed", "600")
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", *told, "--mqtt-url", mosquitto.url],
        cwd=ROOT,
        env={"PYTHONPATH": "src:.", "PATH": "/usr/bin:/bin"},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not listener.count and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    run = read_run(city)
    assert f"the run ended at {run.end:%Y-%m-%d %H:%M:%S} UTC" in said
    assert run.start <= run.end < run.start + timedelta(days=7)
    listener.take(run.messages)


def test_a_scenario_is_played_on_no_real_device(city: Path, tmp_path: Path) -> None:
    shutil.copytree(city, tmp_path / "run")
    registry = tmp_path / "run" / "devices.csv"
    registry.write_text(registry.read_text(encoding="utf-8").replace(",true,", ",false,", 1), encoding="utf-8")
    done = simulate("play", "--run", str(tmp_path / "run"), "--scenario", "festival", code=65)
    assert "bin-000001 is not marked as simulated" in done.stderr


def test_a_fault_is_injected_into_a_registered_device(
    mosquitto: Broker, listener: Listener, city: Path, tmp_path: Path
) -> None:
    done = simulate(
        *("inject", "--device", "manhole-000003", "--fault", "opened", "--registry", str(city / "devices.csv")),
        *("--lasts", "4s", "--every", "1s", "--truth", str(tmp_path), "--mqtt-url", mosquitto.url, "--quiet"),
    )
    assert "manhole.open by" in done.stdout
    [fault] = read_truth(tmp_path)
    run = read_run(tmp_path)
    assert (fault.fault, fault.device) == ("manhole.opened", "manhole-000003")
    # The lid has its two seconds; thirty of tilt do not fit into four.
    assert [told.rule for told in fault.expect] == ["manhole.open"]
    assert run.speed == 1.0
    [(topic, bodies)] = listener.take(run.messages).items()
    assert topic.endswith("/manhole/manhole-000003/telemetry")
    opened = [json.loads(body)["values"]["lid_open"] for body in bodies]
    assert opened[0] is False
    assert opened[-1] is False
    assert opened.count(True) >= 4
    assert all("seq" not in json.loads(body) for body in bodies)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("play", "--scenario", "flood"), "there is no scenario 'flood'; there are cable-cut"),
        (("play", "--scenario", "festival", "--purpose", "judging", "--seed", "1"), "seed 1 is not for judging"),
        (("play", "--scenario", "festival", "--duration", "long"), "'long' is no duration"),
        (("play", "--scenario", "festival", "--start", "noon"), "'noon' is no time"),
        (("play", "--scenario", "festival", "--sim-clock", "2026-01-01T00:00:00Z*60"), "nobody shares it"),
        (
            ("play", "--scenario", "festival", "--sim-clock", "2026-01-01T00:00:00Z*60@2026-01-01T00:00:00Z"),
            "passed the start",
        ),
        (
            ("play", "--scenario", "festival", "--speed", "2", "--sim-clock", TO_COME),
            "leave out --speed",
        ),
        (("play", "--scenario", "festival", "--mqtt-url", "mqtt://127.0.0.1:1", "--start", "now"), "no MQTT broker"),
        (("inject", "--device", "nobody", "--fault", "opened"), "knows no device 'nobody'"),
        (("inject", "--device", "bin-000001", "--fault", "melted"), "there is no fault 'melted'"),
        (("inject", "--device", "streetlight-000001", "--fault", "feeder_dark"), "befalls a whole circuit"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(city: Path, arguments: tuple[str, ...], sentence: str) -> None:
    place = ("--run", str(city)) if arguments[0] == "play" else ("--registry", str(city / "devices.csv"))
    code = 69 if "no MQTT" in sentence else 65
    done = simulate(*arguments, *place, code=code)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_real_device_is_not_drilled_by_mistake(tmp_path: Path) -> None:
    registry = tmp_path / "devices.csv"
    registry.write_text("device,kind,district\nMH-1,manhole,511703\n", encoding="utf-8")
    drilled = ("inject", "--device", "MH-1", "--fault", "opened", "--registry", str(registry))
    assert "--drill says that you mean it" in simulate(*drilled, code=65).stderr
    unreachable = simulate(*drilled, "--drill", "--mqtt-url", "mqtt://127.0.0.1:1", code=69)
    assert "no MQTT broker answers" in unreachable.stderr


async def test_a_device_is_looked_up_over_the_api(pool: asyncpg.Pool) -> None:
    await registered(pool, "mh-1")
    async with client(pool, Role.ADMIN) as http:
        overrides = {"manhole.tilt": {"baseline": 4.0}}
        changed = {"interval_s": 600.0, "simulated": True, "overrides": overrides, "aliases": {"senml": "urn:x"}}
        assert (await http.patch("/v1/devices/mh-1", json=changed)).is_success
        found, told = await ask_for_device(ServiceApi(http), "mh-1")
        with pytest.raises(InvalidInputError, match=r"nobody"):
            await ask_for_device(ServiceApi(http), "nobody")
    assert (found.name, found.kind, found.interval_s, found.simulated) == ("mh-1", "manhole", 600.0, True)
    assert found.aliases == {"native": "mh-1", "senml": "urn:x"}
    assert told == overrides


def test_the_simulated_fleet_lives_in_the_services_time(mosquitto: Broker, listener: Listener) -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    clock = f"2026-01-01T00:00:00Z*60@{datetime.now(UTC).isoformat()}"
    simulate(
        *("run", "--devices", "4", "--rate", "40", "--duration", "0.5", "--quiet", "--mqtt-url", mosquitto.url),
        STREETWARDEN_SIM_CLOCK=clock,
    )
    bodies = [json.loads(body) for told in listener.take(20).values() for body in told]
    until_ms = read_scenario_time(clock).at(datetime.now(UTC)).timestamp() * 1000
    assert all(begun.timestamp() * 1000 <= body["ts"] <= until_ms for body in bodies)


def test_what_there_is_to_play_is_listed() -> None:
    assert "rainstorm-night" in simulate("scenarios").stdout
    listed = simulate("faults").stdout
    assert "manhole.stolen" in listed
    assert "network.gateway_out" in listed
