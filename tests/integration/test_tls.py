"""TLS to the broker: nothing is lost to it, the broker is known for who it is, and what fails says why."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest import tls
from ingest.broker import BrokerAddress, Protocol
from ingest.probe_client import ProbeSession
from ingest.tls import SYSTEM_TRUST, TlsFiles
from tests.support.brokers import find_mosquitto
from tests.support.certificates import Authority
from tests.support.secure import LOGIN, SecureBroker, listening, secure_mosquitto, secure_nats, tls_proxy

TOPIC = "city/v1/511703/manhole/MH-1/telemetry"
BURST = 6000

both = pytest.mark.parametrize("protocol", [Protocol.V311, Protocol.V5])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with secure_mosquitto(tmp_path_factory.mktemp("secure"), program) as running:
        yield running


async def publish(url: str, files: TlsFiles, payloads: list[bytes]) -> None:
    def run() -> None:
        deadline = time.monotonic() + 60
        with ProbeSession(BrokerAddress.from_url(url, files), "tls-publisher", Protocol.V311) as session:
            assert session.connect(deadline).accepted
            assert session.publish(TOPIC, payloads, deadline) == len(payloads)

    await asyncio.to_thread(run)


async def require_acknowledged(url: str, files: TlsFiles, protocol: Protocol, client_id: str) -> None:
    """The broker kept the session, and it holds nothing any more."""
    async with listening(url, files, protocol, client_id) as again:
        await again.stands()
        assert again.connected[0].session_present
        await asyncio.sleep(0.5)
        assert again.subscriber.outstanding <= 1  # at most the echo's own


# ------------------------------------------------------------------------------------------------- it arrives


@both
@pytest.mark.parametrize("listener", ["tls", "mutual", "password"])
async def test_messages_arrive_and_are_acknowledged(broker: SecureBroker, listener: str, protocol: Protocol) -> None:
    files = broker.known if listener == "mutual" else broker.trust
    url = broker.url(listener, login=LOGIN if listener == "password" else "")
    client_id = f"{listener}-{protocol.value}"
    sent = [str(number).encode() for number in range(300)]
    async with listening(url, files, protocol, client_id) as there:
        await there.stands()
        await publish(url, files, sent)
        assert [delivery.payload for delivery in await there.take(len(sent))] == sent
        await there.confirmed()
        assert there.lost == []
    await require_acknowledged(url, files, protocol, client_id)


@both
async def test_payloads_of_60_kib_arrive_whole(broker: SecureBroker, protocol: Protocol) -> None:
    url, client_id = broker.url("tls"), f"big-{protocol.value}"
    sent = [bytes([number]) * 60 * 1024 for number in range(100)]
    async with listening(url, broker.trust, protocol, client_id) as there:
        await there.stands()
        await publish(url, broker.trust, sent)
        assert [delivery.payload for delivery in await there.take(len(sent))] == sent
        await there.confirmed()
    await require_acknowledged(url, broker.trust, protocol, client_id)


@dataclass(frozen=True, slots=True)
class Burst:
    """Where it is published, and from where it comes over TLS."""

    source: str
    url: str
    trust: TlsFiles
    protocol: Protocol


@pytest.fixture(params=["mosquitto-3", "mosquitto-5", "proxy-3", "proxy-5", "nats-3"])
async def burst(request: pytest.FixtureRequest, broker: SecureBroker, tmp_path: Path) -> AsyncIterator[Burst]:
    """Who sends it: mosquitto one TLS record a message, the others full records of many messages."""
    where, _, version = request.param.partition("-")
    protocol = Protocol(version)
    match where:
        case "mosquitto":
            yield Burst(broker.url("plain"), broker.url("tls"), broker.trust, protocol)
        case "proxy":
            async with tls_proxy(broker.server, broker.ports["plain"]) as port:
                yield Burst(broker.url("plain"), f"mqtts://localhost:{port}", broker.trust, protocol)
        case _:
            with secure_nats(tmp_path / "nats") as nats:
                yield Burst(nats.url("tls"), nats.url("tls"), nats.trust, protocol)


async def test_a_burst_arrives_to_the_last_message(burst: Burst) -> None:
    """What waited in the session comes at once: the socket then says nothing of what is decrypted already."""
    session = (burst.url, burst.trust, burst.protocol, f"burst-{burst.url.rpartition(':')[2]}-{burst.protocol.value}")
    async with listening(*session) as before:
        await before.stands()
    sent = [str(number).encode() for number in range(BURST)]
    await publish(burst.source, burst.trust, sent)
    async with listening(*session) as there:
        await there.holds(BURST)
        heard = await there.take(BURST)
        assert {delivery.payload for delivery in heard} == set(sent)
        await there.confirmed()
        assert there.lost == []
    await require_acknowledged(*session)


async def test_what_lies_decrypted_behind_an_answer_is_read(burst: Burst) -> None:
    """SUBACK and the retained messages come in one TLS record; more of them, too, than one turn of the loop reads."""
    count, client_id = 700, f"new-{burst.url.rpartition(':')[2]}-{burst.protocol.value}"

    def retain() -> None:
        deadline = time.monotonic() + 60
        with ProbeSession(BrokerAddress.from_url(burst.source, burst.trust), "tls-retaining", Protocol.V311) as session:
            assert session.connect(deadline).accepted
            for number in range(count):
                assert session.publish(f"retained/{number}", [b"1"], deadline, retain=True) == 1

    await asyncio.to_thread(retain)
    async with listening(burst.url, burst.trust, burst.protocol, client_id, "retained/#") as there:
        await there.holds(count)


# ------------------------------------------------------------------------------------------------- it says why


async def sentence(url: str, files: TlsFiles) -> str:
    async with listening(url, files) as there:
        why = await there.fails()
    assert "\n" not in why
    assert "s3cret" not in why
    return why


async def test_an_expired_certificate_is_refused(broker: SecureBroker) -> None:
    why = await sentence(broker.url("expired"), broker.trust)
    assert "expired" in why
    assert f"localhost:{broker.ports['expired']}" in why


@pytest.mark.parametrize(("listener", "host"), [("tls", "127.0.0.1"), ("elsewhere", "localhost")])
async def test_a_certificate_for_another_host_is_refused(broker: SecureBroker, listener: str, host: str) -> None:
    assert "is for another host" in await sentence(broker.url(listener, host=host), broker.trust)


async def test_an_unknown_ca_is_refused_and_the_setting_named(broker: SecureBroker, tmp_path: Path) -> None:
    for trust in (SYSTEM_TRUST, TlsFiles(ca=Authority(tmp_path, "Another CA").cert)):
        why = await sentence(broker.url("tls"), trust)
        assert "signed by a CA unknown here" in why
        assert "STREETWARDEN_MQTT_CA" in why


async def test_a_missing_client_certificate_is_named(broker: SecureBroker) -> None:
    why = await sentence(broker.url("mutual"), broker.trust)
    assert "client certificate" in why
    assert "STREETWARDEN_MQTT_CERT" in why


async def test_a_client_certificate_of_a_strange_ca_is_not_accepted(broker: SecureBroker, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "Strange CA").sign("stranger")
    files = TlsFiles(broker.authority.cert, strange.cert, strange.key)
    assert "does not accept our client certificate" in await sentence(broker.url("mutual"), files)


async def test_a_wrong_password_is_refused_and_never_told(broker: SecureBroker) -> None:
    why = await sentence(broker.url("password", login="worker:s3cret-but-wrong"), broker.trust)
    assert "refused the connection" in why


async def test_tls_spoken_to_a_plain_port_is_named(broker: SecureBroker) -> None:
    why = await sentence(f"mqtts://localhost:{broker.ports['plain']}", broker.trust)
    assert "spoke plain MQTT" in why


async def test_plain_mqtt_spoken_to_a_tls_port_is_named(broker: SecureBroker) -> None:
    why = await sentence(f"mqtt://localhost:{broker.ports['tls']}", broker.trust)
    assert "use mqtts://" in why


async def test_a_server_that_accepts_and_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_HANDSHAKE_WITHIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        why = await sentence(f"mqtts://localhost:{silent.getsockname()[1]}", SYSTEM_TRUST)
    assert "handshake did not end" in why


async def test_a_file_that_is_gone_is_named_and_tried_again(broker: SecureBroker, tmp_path: Path) -> None:
    """A certificate may be replaced at any moment: its absence ends no worker."""
    moved = tmp_path / "ca.pem"
    async with listening(broker.url("tls"), TlsFiles(ca=moved), client_id="moved") as there:
        assert "does not exist" in await there.fails()
        moved.write_bytes(broker.authority.cert.read_bytes())
        await there.stands()
