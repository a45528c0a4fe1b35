"""The neighbours that tests rely on are real, fresh for each test, and gone afterwards."""

import socket

import asyncpg
import pytest

from tests.support.brokers import Broker, listens


@pytest.mark.parametrize("round_number", [1, 2])
async def test_each_test_has_a_database_of_its_own(pool: asyncpg.Pool, round_number: int) -> None:
    assert await pool.fetchval("SELECT count(*) FROM api_key") == 0
    await pool.execute("INSERT INTO api_key VALUES ('a', 'a', 'admin', 'x', now())")


async def test_jsonb_is_bytes_in_and_out_and_xid8_is_a_number(pool: asyncpg.Pool) -> None:
    row = await pool.fetchrow("SELECT $1::jsonb AS document, pg_current_xact_id() AS transaction", b'{"a": 1}')
    assert row is not None
    assert row["document"] == b'{"a": 1}'
    assert isinstance(row["transaction"], int)


def test_the_embedded_broker_speaks_mqtt(embedded_broker: Broker) -> None:
    assert connect_packet(embedded_broker.port, level=4)[:1] == b"\x20"


def test_mosquitto_speaks_mqtt_and_may_be_killed_and_started_again(mosquitto: Broker) -> None:
    assert connect_packet(mosquitto.port, level=4)[:1] == b"\x20"
    mosquitto.kill()
    assert not listens(mosquitto.port)
    mosquitto.start()
    assert connect_packet(mosquitto.port, level=4)[:1] == b"\x20"


def connect_packet(port: int, *, level: int) -> bytes:
    """The broker's answer to a CONNECT with client id ``t``."""
    body = b"\x00\x04MQTT" + bytes([level]) + b"\x02\x00\x3c" + b"\x00\x01t"
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"\x10" + bytes([len(body)]) + body)
        return connection.recv(4)
