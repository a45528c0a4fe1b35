"""The broker contract is tried out: what mosquitto loses by default is seen, told, and leaves nothing behind."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingest.broker import BrokerAddress, Protocol
from ingest.broker_check import Finding, Verdict, check_broker
from ingest.probe_client import ProbeSession, end_session
from service.contract import tell_broken_contract
from service.ports import free_port
from service.settings import Settings
from tests.support.brokers import MOSQUITTO_DEFAULTS, Broker, find_mosquitto, mosquitto_broker


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[Broker]:
    """mosquitto with the queues and windows that it has when nobody sets them."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with mosquitto_broker(tmp_path / "careless", program, MOSQUITTO_DEFAULTS) as running:
        yield running


async def checked(broker: Broker, protocol: Protocol = Protocol.AUTO, *, light: bool = False) -> dict[str, Finding]:
    findings = await check_broker(BrokerAddress.from_url(broker.url), "test", protocol, light=light)
    return {finding.requirement: finding for finding in findings}


async def test_mosquittos_defaults_lose_messages_and_that_is_seen(careless: Broker) -> None:
    found = await checked(careless)
    assert {name for name, finding in found.items() if finding.verdict is Verdict.BROKEN} == {"queue", "window"}
    assert found["queue"].seen == "1,000 of 1,500 came"
    assert "max_queued_messages 0" in found["queue"].remedy
    assert found["window"].seen == "20"
    assert "max_inflight_messages" in found["window"].remedy


async def test_over_mqtt_5_the_window_is_ours_and_the_queue_as_short(careless: Broker) -> None:
    found = await checked(careless, Protocol.V5)
    assert {name for name, finding in found.items() if finding.verdict is Verdict.BROKEN} == {"queue"}
    assert found["queue"].seen == "1,000 of 1,500 came"


async def test_a_check_leaves_nothing_behind(mosquitto: Broker) -> None:
    found = await checked(mosquitto)
    assert found["queue"].verdict is Verdict.OK
    address, deadline = BrokerAddress.from_url(mosquitto.url), time.monotonic() + 30

    def look() -> bool:
        with ProbeSession(address, "test-probe", Protocol.V311, clean=False) as session:
            known = session.connect(deadline).session_present
            session.subscribe("streetwarden/probe/#", deadline)
            return known or session.settle(0.5, deadline) > 0

    assert not await asyncio.to_thread(look)


async def test_a_protocol_that_the_broker_refuses_is_told(embedded_broker: Broker) -> None:
    found = await checked(embedded_broker, Protocol.V5, light=True)
    assert found["protocol"].verdict is Verdict.BROKEN
    assert found["protocol"].remedy == "STREETWARDEN_MQTT_PROTOCOL=auto"


def command(url: str, *options: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "STREETWARDEN_MQTT_URL": url, "COLUMNS": "200"}
    argv = [sys.executable, "-m", "service", "broker", "check", *options]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_ends_with_1_where_something_is_broken(careless: Broker) -> None:
    done = command(careless.url, "--json")
    assert done.returncode == 1, done.stderr
    verdicts = {finding["requirement"]: finding["verdict"] for finding in json.loads(done.stdout)}
    assert verdicts["queue"] == "broken"


def test_the_command_ends_with_0_for_the_embedded_broker_and_shows_its_limits(embedded_broker: Broker) -> None:
    done = command(embedded_broker.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "limit" in done.stdout
    assert "1,500 of 1,500 came" in done.stdout


def test_the_command_says_that_nobody_is_there() -> None:
    done = command(f"mqtt://u:s3cret@127.0.0.1:{free_port()}")
    assert done.returncode == 69
    assert "cannot be reached" in done.stderr
    assert "s3cret" not in done.stderr


# ------------------------------------------------------------------------------------------------- at the start


async def test_ingest_warns_once_for_each_broken_thing(careless: Broker) -> None:
    with capture_logs() as logs:
        await tell_broken_contract(Settings(), careless.url)
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["event"] for entry in warnings] == ["broker_contract_broken"]
    assert "max_inflight_messages" in warnings[0]["set"]


async def test_a_broker_that_says_nothing_hinders_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, capture_logs() as logs:
        async with asyncio.timeout(30):
            await tell_broken_contract(Settings(), f"mqtt://127.0.0.1:{silent.getsockname()[1]}")
    assert [entry["event"] for entry in logs] == ["broker_contract_unseen"]


# ------------------------------------------------------------------------------------------------- what it is worth


def leave_messages(broker: Broker, count: int) -> None:
    """Make a session, go away, and let so many messages be acknowledged."""
    address, deadline = BrokerAddress.from_url(broker.url), time.monotonic() + 60
    with ProbeSession(address, "worth", Protocol.V311, clean=False) as session:
        session.connect(deadline)
        assert session.subscribe("worth", deadline)
    with ProbeSession(address, "device", Protocol.V311) as device:
        device.connect(deadline)
        assert device.publish("worth", [str(number).encode() for number in range(count)], deadline) == count


def find_messages(broker: Broker) -> int:
    address, deadline = BrokerAddress.from_url(broker.url), time.monotonic() + 60
    with ProbeSession(address, "worth", Protocol.V311, clean=False) as session:
        session.connect(deadline)
        session.settle(1.5, deadline)
        found = len({message.payload for message in session.heard})
    end_session(address, "worth", Protocol.V311, deadline)
    return found


def test_the_embedded_broker_keeps_what_it_acknowledged_when_killed(embedded_broker: Broker) -> None:
    leave_messages(embedded_broker, 500)
    embedded_broker.kill()
    embedded_broker.start()
    assert find_messages(embedded_broker) == 500


def test_mosquitto_keeps_it_when_told_to_end_and_loses_it_when_killed(mosquitto: Broker) -> None:
    """The reason why its contract says SIGTERM; if it kept them one day, the document would have to say so."""
    leave_messages(mosquitto, 500)
    mosquitto.kill()
    mosquitto.start()
    assert find_messages(mosquitto) == 0
    leave_messages(mosquitto, 500)
    mosquitto.stop()
    mosquitto.start()
    assert find_messages(mosquitto) == 500
