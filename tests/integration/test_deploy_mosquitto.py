"""The broker as deploy/ sets it up: nobody without a password, a device for itself alone, the service for all."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.broker import BrokerAddress, Protocol
from ingest.broker_check import Verdict, check_broker
from ingest.catalogue import load_formats
from ingest.membership import Membership, in_group
from service.children import Program, running
from service.ports import free_port
from service.settings import Settings
from tests.support.brokers import DEBIAN_SYSTEM_PROGRAMS, find_mosquitto, listens
from tests.support.certificates import Authority
from tests.support.ingest import ingesting
from tests.support.registered import DISTRICT, register

DEPLOY = Path(__file__).parents[2] / "deploy"
PASSWORD = "only for this test"
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), *DEBIAN_SYSTEM_PROGRAMS])


@dataclass
class Deployed:
    """The broker of compose.yaml, with its own files, on a port of this test."""

    port: int
    service_url: str
    secure_url: str
    trust: dict[str, Path]
    """The settings for TLS."""


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    program = find_mosquitto()
    if program is None or shutil.which("mosquitto_passwd", path=SYSTEM_PATH) is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    secrets = make_secrets(tmp_path)
    for user in ("MH-0001", "MH-0002", "chirpstack"):
        give_password(secrets / "mosquitto.passwd", user)
    port, secure_port = free_port(), free_port()
    authority = Authority(tmp_path / "ca")
    broker_cert, worker_cert = authority.sign("broker", "localhost"), authority.sign("worker")
    configuration = "".join(
        (DEPLOY / name).read_text(encoding="utf-8") for name in ("mosquitto.conf", "mosquitto-tls.conf")
    )
    moved = {
        "listener 8883": f"listener {secure_port} 127.0.0.1",
        "/mosquitto/security/broker.pem": str(broker_cert.cert),
        "/mosquitto/security/broker.key": str(broker_cert.key),
        "/mosquitto/security/ca.pem": str(authority.cert),
        "listener 1883": f"listener {port} 127.0.0.1" + ("\nuser root" if os.geteuid() == 0 else ""),
        "/mosquitto/security/passwd": str(secrets / "mosquitto.passwd"),
        "/mosquitto/security/acl": str(DEPLOY / "mosquitto.acl"),
        "/mosquitto/data/": f"{tmp_path}/",
        "log_dest stdout": "log_dest stderr",
    }
    for here, there in moved.items():
        assert configuration.count(here) == 1, here
        configuration = configuration.replace(here, there)
    (tmp_path / "mosquitto.conf").write_text(configuration, encoding="utf-8")
    broker = Program(
        name="mosquitto",
        argv=(program, "-c", str(tmp_path / "mosquitto.conf")),
        log_file=tmp_path / "mosquitto.log",
        env={"PATH": SYSTEM_PATH},
        ready=lambda: listens(port) and listens(secure_port),
        hint="",
    )
    settings = dict(line.split("=", 1) for line in (secrets / "service.env").read_text().splitlines())
    with running(broker):
        url = settings["STREETWARDEN_MQTT_URL"]
        yield Deployed(
            port,
            url.replace("@mosquitto:1883", f"@127.0.0.1:{port}"),
            url.replace("@mosquitto:1883", f"@localhost:{secure_port}").replace("mqtt://", "mqtts://"),
            {"mqtt_ca": authority.cert, "mqtt_cert": worker_cert.cert, "mqtt_key": worker_cert.key},
        )


def make_secrets(folder: Path) -> Path:
    """Run the script that an operator runs, on a copy of its folder."""
    copy = folder / "deploy"
    (copy / "secrets").mkdir(parents=True)
    shutil.copy(DEPLOY / "make-secrets.sh", copy)
    run = ["sh", str(copy / "make-secrets.sh")]
    subprocess.run(run, check=True, env={"PATH": SYSTEM_PATH}, capture_output=True)
    again = subprocess.run(run, check=False, env={"PATH": SYSTEM_PATH}, capture_output=True)
    assert again.returncode == 1, "it must not replace the passwords of a running installation"
    for secret in (copy / "secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0, f"others may read {secret.name}"
    return copy / "secrets"


def give_password(file: Path, user: str) -> None:
    argv = ["mosquitto_passwd", "-b", str(file), user, PASSWORD]
    subprocess.run(argv, check=True, env={"PATH": SYSTEM_PATH}, capture_output=True)


class Connection:
    """One MQTT 5 client that notes what the broker answers."""

    def __init__(self, port: int, user: str | None = None, password: str = PASSWORD) -> None:
        self.answers: list[ReasonCode] = []
        self.published: dict[int, ReasonCode] = {}
        self.subscribed: list[ReasonCode] = []
        self.heard: list[str] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda _c, _d, _f, reason, _p: self.answers.append(reason)
        self._client.on_publish = lambda _c, _d, mid, reason, _p: self.published.update({mid: reason})
        self._client.on_subscribe = lambda _c, _d, _m, reasons, _p: self.subscribed.extend(reasons)
        self._client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        self._client.connect("127.0.0.1", port)
        self._until(lambda: bool(self.answers))

    @property
    def refused(self) -> bool:
        return self.answers[0].is_failure

    def may_publish(self, topic: str) -> bool:
        mid = self._client.publish(topic, '{"values": {"tilt_deg": 1.0}}', qos=1).mid
        self._until(lambda: mid in self.published)
        return not self.published[mid].is_failure

    def subscribe(self, topic: str) -> None:
        before = len(self.subscribed)
        self._client.subscribe(topic, qos=1)
        self._until(lambda: len(self.subscribed) > before)

    def listen(self) -> None:
        """Take in whatever is on its way."""
        for _ in range(10):
            self._client.loop(0.05)

    def _until(self, done: Callable[[], bool]) -> None:
        for _ in range(100):
            if done():
                return
            self._client.loop(0.05)
        pytest.fail("the broker did not answer")


def test_nobody_connects_without_a_password(deployed: Deployed) -> None:
    assert Connection(deployed.port).refused
    assert Connection(deployed.port, "MH-0001", "wrong").refused
    assert Connection(deployed.port, "MH-9999").refused
    assert not Connection(deployed.port, "MH-0001").refused


def test_a_device_publishes_for_itself_alone(deployed: Deployed) -> None:
    device = Connection(deployed.port, "MH-0001")
    own = "city/v1/511703/manhole/MH-0001"
    assert all(device.may_publish(f"{own}/{leaf}") for leaf in ("telemetry", "event", "status", "reply"))
    for topic in (
        f"{own}/command",
        f"{own}/heartbeat",
        "city/v1/511703/manhole/MH-0002/telemetry",
        "application/1/device/0004a30b001c0530/event/up",
        "senml/anything",
    ):
        # Some releases of mosquitto hang up after a refusal: a connection for each.
        assert not Connection(deployed.port, "MH-0001").may_publish(topic), topic


def test_a_device_hears_its_own_commands_and_nothing_else(deployed: Deployed) -> None:
    device, other = Connection(deployed.port, "MH-0001"), Connection(deployed.port, "MH-0002")
    device.subscribe("city/v1/#")
    assert other.may_publish("city/v1/511703/manhole/MH-0002/telemetry")
    device.listen()
    assert device.heard == []


def test_a_network_server_writes_its_own_tree_alone(deployed: Deployed) -> None:
    server = Connection(deployed.port, "chirpstack")
    assert server.may_publish("application/1/device/0004a30b001c0530/event/up")
    assert not server.may_publish("city/v1/511703/manhole/MH-0001/telemetry")


async def test_the_service_reads_every_source_and_hears_its_own_heartbeats(
    pool: "asyncpg.Pool[asyncpg.Record]", deployed: Deployed
) -> None:
    await register(pool, "MH-0001")
    await hear_every_source(pool, deployed, deployed.service_url, None)


async def test_one_of_several_workers_may_do_the_same(pool: "asyncpg.Pool[asyncpg.Record]", deployed: Deployed) -> None:
    await register(pool, "MH-0001")
    await hear_every_source(pool, deployed, deployed.service_url, None, in_group("worker-1", load_formats()))


async def test_the_service_does_so_over_tls_with_a_certificate_of_its_own(
    pool: "asyncpg.Pool[asyncpg.Record]", deployed: Deployed
) -> None:
    await register(pool, "MH-0001")
    secure = Settings.model_validate({"mqtt_url": deployed.secure_url, **deployed.trust})
    await hear_every_source(pool, deployed, deployed.secure_url, secure)


async def hear_every_source(
    pool: "asyncpg.Pool[asyncpg.Record]",
    deployed: Deployed,
    url: str,
    settings: Settings | None,
    membership: Membership | None = None,
) -> None:
    async with ingesting(pool, url, settings, membership), asyncio.timeout(15):
        device = await asyncio.to_thread(Connection, deployed.port, "MH-0001")
        topic = f"city/v1/{DISTRICT}/manhole/MH-0001/telemetry"
        assert await asyncio.to_thread(device.may_publish, topic)
        for settled in ("SELECT count(*) = 1 FROM reading", "SELECT count(DISTINCT source) = 3 FROM coverage"):
            while not await pool.fetchval(settled):  # noqa: ASYNC110  # only the database can tell
                await asyncio.sleep(0.05)


async def test_the_broker_contract_holds(deployed: Deployed) -> None:
    findings = await check_broker(BrokerAddress.from_url(deployed.service_url), "deployed", Protocol.AUTO)
    told = {finding.requirement: finding.verdict for finding in findings}
    assert told.pop("disk") is Verdict.UNSEEN
    assert set(told.values()) == {Verdict.OK}, findings


async def test_what_an_access_list_hides_is_no_fault_of_the_broker(deployed: Deployed) -> None:
    stranger = f"mqtt://chirpstack:{quote(PASSWORD)}@127.0.0.1:{deployed.port}"
    findings = await check_broker(BrokerAddress.from_url(stranger), "stranger", Protocol.AUTO)
    told = {finding.requirement: finding for finding in findings}
    assert told["echo"].verdict is told["rest"].verdict is Verdict.UNSEEN
    assert "streetwarden/probe/" in told["rest"].remedy
