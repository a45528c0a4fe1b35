"""Publish to a broker as a device would, and wait for what becomes of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.brokers import Broker
from tests.support.registered import DISTRICT


def topic(device: str, kind: str = "manhole", leaf: str = "telemetry") -> str:
    return f"city/v1/{DISTRICT}/{kind}/{device}/{leaf}"


def body(at: datetime | None = None, seq: int | None = None, **values: object) -> bytes:
    message: dict[str, object] = {"values": values}
    if at is not None:
        message["ts"] = at.isoformat()
    if seq is not None:
        message["seq"] = seq
    return json.dumps(message).encode()


async def publish(broker: Broker, *messages: tuple[str, bytes]) -> None:
    """Publish at QoS 1 and wait until the broker has taken all of them."""

    def run() -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for info in [client.publish(name, payload, qos=1) for name, payload in messages]:
            info.wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    await asyncio.to_thread(run)


async def until(condition: Callable[[], Awaitable[Any]], within_s: float = 45) -> Any:
    """Wait for something to become true; return it."""
    async with asyncio.timeout(within_s):
        while not (result := await condition()):  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.05)
    return result


async def balance(pool: Any) -> dict[str, int]:
    row = await pool.fetchrow(
        "SELECT sum(accepted)::int AS accepted, sum(quarantined)::int AS quarantined, sum(ignored)::int AS ignored, "
        "sum(redelivered)::int AS redelivered, sum(contained)::int AS contained, sum(stored)::int AS stored, "
        "sum(duplicate)::int AS duplicate, sum(rejected)::int AS rejected, "
        "sum(unknown_values)::int AS unknown FROM ledger_minute"
    )
    return {key: value or 0 for key, value in row.items()}


async def settled(pool: Any, messages: int) -> bool:
    """Whether so many messages have been settled in whatever way."""
    counts = await balance(pool)
    return counts["accepted"] + counts["quarantined"] + counts["ignored"] + counts["redelivered"] >= messages
