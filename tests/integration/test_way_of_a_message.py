"""A message becomes a reading, trips a rule, raises an alert and a ticket; poison is set aside; the ledger balances."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from service.settings import Settings
from tests.support.brokers import Broker
from tests.support.ingest import ingesting
from tests.support.publishing import balance, body, publish, settled, topic, until
from tests.support.registered import register


@pytest.fixture(params=["mosquitto", "embedded_broker"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


async def test_a_tilted_cover_becomes_an_alert_and_a_ticket_and_resolves(pool: Any, broker: Broker) -> None:
    await register(pool, "DC-1")
    now = datetime.now(UTC)
    async with ingesting(pool, broker.url):
        await publish(
            broker,
            (topic("DC-1"), body(now - timedelta(seconds=60), 1, tilt_deg=1.0)),
            (topic("DC-1"), body(now - timedelta(seconds=50), 2, tilt_deg=24.0)),
            (topic("DC-1"), body(now - timedelta(seconds=10), 3, tilt_deg=25.0)),
        )
        alert = await until(lambda: pool.fetchrow("SELECT * FROM alert"))
        assert alert["rule"] == "manhole.tilt"
        assert alert["state"] == "firing"
        assert alert["onset"] == now - timedelta(seconds=50)
        assert alert["fired_at"] == now - timedelta(seconds=20)
        ticket = await pool.fetchrow("SELECT * FROM ticket")
        assert ticket["id"] == alert["ticket_id"]
        assert (ticket["state"], ticket["firing"]) == ("open", 1)
        assert len(ticket["number"]) == 19
        await publish(broker, (topic("DC-1"), body(now, 4, tilt_deg=2.0)))
        await until(lambda: pool.fetchrow("SELECT 1 FROM ticket WHERE state = 'resolved'"))
    assert await pool.fetchval("SELECT state FROM alert") == "cleared"
    assert await pool.fetchval("SELECT count(*) FROM ticket_subject WHERE open") == 0
    assert [row[0] for row in await pool.fetch("SELECT move FROM ticket_move ORDER BY id")] == ["opened", "resolved"]
    counts = await balance(pool)
    assert counts["accepted"] == counts["contained"] == counts["stored"] == 4


async def test_a_hold_elapses_by_the_clock_while_the_reading_is_valid(pool: Any, broker: Broker) -> None:
    await register(pool, "DC-2")
    onset = datetime.now(UTC) - timedelta(seconds=28)
    async with ingesting(pool, broker.url):
        await publish(broker, (topic("DC-2"), body(onset, 1, tilt_deg=40.0)))
        alert = await until(lambda: pool.fetchrow("SELECT * FROM alert"))
    assert alert["fired_at"] == onset + timedelta(seconds=30)


async def test_poison_is_set_aside_with_its_reason_and_the_stream_goes_on(pool: Any, broker: Broker) -> None:
    await register(pool, "DC-3")
    now = datetime.now(UTC)
    deep = b'{"values":' + b'{"a":' * 2000 + b"1" + b"}" * 2001
    poison = {
        "not_json": (topic("DC-3"), b'{"values": {"tilt_deg": NaN}}'),
        "not_utf8": (topic("DC-3"), b'{"values": {"tilt_deg": 1}, "x": "\xff\xfe"}'),
        "too_deep": (topic("DC-3"), deep),
        "too_large": (topic("DC-3"), body(now, tilt_deg=1.0, note="x" * 70_000)),
        "wrong_shape": (topic("DC-3"), b'{"values": 3}'),
        "unknown_topic": (topic("DC-3", kind="Man Hole".replace(" ", "_")), b"{}"),
        "unknown_device": (topic("DC-404"), body(now, tilt_deg=1.0)),
        "wrong_identity": (topic("DC-3"), b'{"device": "DC-4", "values": {"tilt_deg": 1}}'),
        "bad_time": (topic("DC-3"), b'{"ts": "yesterday", "values": {"tilt_deg": 1}}'),
        "in_future": (topic("DC-3"), body(now + timedelta(hours=8), tilt_deg=1.0)),
        "too_old": (topic("DC-3"), body(now - timedelta(days=500), tilt_deg=1.0)),
        "no_known_measure": (topic("DC-3"), body(now, colour=3)),
        "refused_by_database": (topic("DC-3"), body(now, tilt_deg=3.0, note="a\0b")),
    }
    async with ingesting(pool, broker.url):
        await publish(broker, *poison.values(), (topic("DC-3"), body(now, 7, tilt_deg=1.5, colour="red")))
        await until(lambda: pool.fetchrow("SELECT 1 FROM reading WHERE seq = 7"))
        await until(lambda: pool.fetchrow("SELECT 1 FROM quarantine OFFSET $1", len(poison) - 1))
    held = {row["reason"]: row for row in await pool.fetch("SELECT * FROM quarantine")}
    assert set(held) == set(poison)
    for reason, (name, payload) in poison.items():
        assert held[reason]["topic"] == name
        assert held[reason]["payload"] == payload[: 64 * 1024]
        assert held[reason]["size"] == len(payload)
        assert held[reason]["detail"]
    counts = await balance(pool)
    assert counts["quarantined"] == len(poison)
    assert counts["accepted"] == counts["stored"] == 1
    assert counts["unknown"] == 1


async def test_the_same_reading_again_is_a_duplicate_and_the_same_time_another_reading(
    pool: Any, broker: Broker
) -> None:
    device = await register(pool, "DC-5")
    now = datetime.now(UTC)
    first = (topic("DC-5"), body(now, 1, tilt_deg=1.0))
    other = (topic("DC-5"), body(now, 1, ch4_pct_lel=60.0))
    late = (topic("DC-5"), body(now - timedelta(hours=1), 0, tilt_deg=2.0))
    async with ingesting(pool, broker.url):
        await publish(broker, first)
        await until(lambda: pool.fetchrow("SELECT 1 FROM reading"))
        await publish(broker, first, other, other, late, late)
        await until(lambda: settled(pool, 6))
    assert await pool.fetchval("SELECT count(*) FROM reading") == 3
    counts = await balance(pool)
    assert (counts["contained"], counts["stored"], counts["duplicate"]) == (6, 3, 3)
    # One moment, two messages: the second is judged too.
    assert await pool.fetchval("SELECT rule FROM alert") == "manhole.methane"
    state = await pool.fetchrow("SELECT * FROM device_state WHERE device_id = $1", device)
    assert state["last_at"] == now
    assert (state["readings"], state["late"]) == (3, 1)
    measures = json.loads(state["measures"])
    assert (measures["tilt_deg"][0], measures["ch4_pct_lel"][0]) == (1.0, 60.0)


async def test_status_and_events_are_kept(pool: Any, broker: Broker) -> None:
    device = await register(pool, "DC-6")
    event = json.dumps({"class": "door_opened", "values": {"by": "crew"}}).encode()
    async with ingesting(pool, broker.url):
        await publish(
            broker,
            (topic("DC-6", leaf="status"), b"online"),
            (topic("DC-6", leaf="event"), event),
            (topic("DC-6", leaf="command"), b"{}"),
        )
        await until(lambda: settled(pool, 3))
    assert await pool.fetchval("SELECT online FROM device_state WHERE device_id = $1", device) is True
    assert await pool.fetchval("SELECT class FROM device_event WHERE device_id = $1", device) == "door_opened"
    assert (await balance(pool))["ignored"] == 1


async def test_heartbeats_tell_how_far_each_source_was_heard(pool: Any, broker: Broker) -> None:
    async with ingesting(pool, broker.url):
        await until(lambda: pool.fetchrow("SELECT 1 FROM coverage WHERE until > since"))
    sources = {row[0] for row in await pool.fetch("SELECT source FROM coverage")}
    assert {"native", "chirpstack_v4", "senml"} <= sources
    assert await balance(pool) == dict.fromkeys(await balance(pool), 0)


async def test_mqtt_5_brings_its_properties_into_quarantine(pool: Any, mosquitto: Broker) -> None:
    """Spoken where it is asked for; what came with a refused message is kept beside it."""

    def send() -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect("127.0.0.1", mosquitto.port)
        client.loop_start()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.ContentType = "application/json"
        properties.UserProperty = ("firmware", "1.4")
        client.publish(topic("DC-404"), b"{", qos=1, properties=properties).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    async with ingesting(pool, mosquitto.url, Settings(mqtt_protocol="5")):
        await asyncio.to_thread(send)
        held = await until(lambda: pool.fetchrow("SELECT reason, properties FROM quarantine"))
    assert held["reason"] == "not_json"
    told = json.loads(held["properties"])
    assert told["ContentType"] == "application/json"
    assert "firmware" in told["UserProperty"]
