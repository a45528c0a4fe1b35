"""Real ChirpStack captures, published to a broker: readings where the device is registered, else the true reason."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from tests.support.brokers import Broker
from tests.support.ingest import ingesting
from tests.support.publishing import balance, publish, settled, until
from tests.support.registered import register

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "envelopes.json"
LONG_AGO = Settings(past_bound_days=5000)
"""The captures are from 2023 on."""


def captures() -> list[dict[str, Any]]:
    if not CORPUS.exists():
        pytest.skip(f"the captures are not beside this checkout ({CORPUS.parent.parent.name}/corpus)")
    found: list[dict[str, Any]] = json.loads(CORPUS.read_text())
    return [one for one in found if one["platform"].startswith("ChirpStack")]


def eui_of(payload: dict[str, Any]) -> str:
    """The device's EUI as the body says it: v4 in hex, v3 in hex or base64."""
    if "deviceInfo" in payload:
        return str(payload["deviceInfo"]["devEui"])
    eui = str(payload["devEUI"])
    return eui if len(eui) == 16 else base64.b64decode(eui).hex()


def leaf_of(capture: dict[str, Any]) -> str:
    return str(capture["topic"]).rsplit("/", 1)[-1]


async def test_captures_become_readings_or_sit_in_quarantine_with_the_true_reason(pool: Any, mosquitto: Broker) -> None:
    found = captures()
    fields = {
        "temperature": "temp_c",
        "battery": "battery_pct",
        "distance_cm": "level_m",
        "BatV": "battery_v",
        "TempC_SHT": "temp_c",
    }
    kinds = {"cs4-2023-status": "bin"}
    for eui, names in {eui_of(one["payload"]): one["id"] for one in found if leaf_of(one) != "join"}.items():
        kind = kinds.get(names, "manhole")
        await register(pool, f"lora-{eui}", kind, aliases={"chirpstack_v4": eui}, fields=json.dumps(fields).encode())
    messages: list[tuple[str, bytes]] = []
    for capture in found:
        topic = f"application/7/device/{eui_of(capture['payload'])}/event/{leaf_of(capture)}"
        messages.append((topic, json.dumps(capture["payload"]).encode()))
    async with ingesting(pool, mosquitto.url, LONG_AGO):
        await publish(mosquitto, *messages)
        await until(lambda: settled(pool, len(messages)))
    counts = await balance(pool)
    assert counts["accepted"] + counts["quarantined"] + counts["ignored"] == len(messages)
    assert counts["contained"] == counts["stored"] + counts["duplicate"] + counts["rejected"]

    stored = {
        row["name"]: json.loads(row["measures"])
        for row in await pool.fetch("SELECT d.name, r.measures FROM reading r JOIN device d ON d.id = r.device_id")
    }
    em300 = stored["lora-f2690304363ab15a"]
    assert em300.items() >= {"temp_c": 18.6, "battery_pct": 84.0, "rssi_dbm": -86.0, "snr_db": 13.2}.items()
    lht65 = stored["lora-1740f21a9bd79222"]
    assert lht65.items() >= {"temp_c": 24.73, "battery_v": 3.297}.items()
    # Joins and log lines are understood and of no interest; version 3 of the envelope is not read yet, and told so.
    held = await pool.fetch("SELECT reason, detail, topic FROM quarantine ORDER BY id")
    assert {row["reason"] for row in held} == {"wrong_shape"}
    assert len(held) == sum(one["platform"].startswith("ChirpStack v3") for one in found)
    assert counts["ignored"] >= 2


async def test_a_capture_whose_topic_names_another_device_is_refused(pool: Any, mosquitto: Broker) -> None:
    """Two captures had the EUI in their body replaced before they were published, but not the one in the topic."""
    capture = next(one for one in captures() if one["id"] == "cs4-2023-em300di-up")
    await register(pool, "lora-1", aliases={"chirpstack_v4": eui_of(capture["payload"])})
    async with ingesting(pool, mosquitto.url, LONG_AGO):
        await publish(mosquitto, (capture["topic"], json.dumps(capture["payload"]).encode()))
        held = await until(lambda: pool.fetchrow("SELECT reason FROM quarantine"))
    assert held["reason"] == "wrong_identity"
    assert await pool.fetchval("SELECT count(*) FROM reading") == 0
