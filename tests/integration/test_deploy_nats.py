"""NATS as deploy/nats.conf sets it up keeps the contract for one worker, and lets nobody in without a password."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import UnavailableError
from ingest.broker import BrokerAddress, Protocol
from ingest.broker_check import Verdict, check_broker
from service.children import Program, running
from service.embedded.nats import find_nats_server
from service.ports import free_port
from tests.support.brokers import listens

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nats.conf"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    text = CONFIGURATION.read_text(encoding="utf-8")
    moved = {
        "port: 1883": f"port: {port}",
        "host: 0.0.0.0": "host: 127.0.0.1",
        "port: 4222": "port: -1",
        "store_dir: /data": f'store_dir: "{tmp_path}/data"',
    }
    for here, there in moved.items():
        assert text.count(here) == 1, here
        text = text.replace(here, there)
    (tmp_path / "nats.conf").write_text(text, encoding="utf-8")
    passwords = {"STREETWARDEN_BROKER_PASSWORD": "s3cret", "DEVICES_BROKER_PASSWORD": "other"}
    program = Program(
        name="nats-server",
        argv=(str(find_nats_server()), "-c", str(tmp_path / "nats.conf")),
        log_file=tmp_path / "nats.log",
        env={"PATH": os.environ.get("PATH", os.defpath), **passwords},
        ready=lambda: listens(port),
        hint="",
    )
    with running(program):
        yield port


async def test_the_broker_contract_holds_for_one_worker(port: int) -> None:
    broker = BrokerAddress("127.0.0.1", port, "streetwarden", "s3cret")
    findings = await check_broker(broker, "deployed", Protocol.AUTO)
    told = {finding.requirement: finding.verdict for finding in findings}
    assert {name for name, verdict in told.items() if verdict is Verdict.LIMIT} == {"shared", "spaces"}
    assert {name for name, verdict in told.items() if verdict is Verdict.UNSEEN} == {"announced", "disk"}
    assert Verdict.BROKEN not in told.values(), findings


async def test_nobody_connects_without_a_password(port: int) -> None:
    for password in (None, "wrong"):
        with pytest.raises(UnavailableError, match="refused the connection"):
            await check_broker(BrokerAddress("127.0.0.1", port, "streetwarden", password), "stranger", Protocol.AUTO)
