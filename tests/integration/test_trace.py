"""Where is message X: the five answers, with their evidence, by topic and time and by the bytes."""

import asyncio
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from domain.role import Role
from ingest.delivery import Delivery
from service.cli import build_app
from tests.support.api import client
from tests.support.flow import flow_on
from tests.support.publishing import body, topic
from tests.support.redriving import NOW, delivery, redrive
from tests.support.registered import register


async def traced(
    pool: Any, at: datetime, payload: bytes | None = None, *, name: str | None = None, within_s: float = 60
) -> dict[str, Any]:
    question: dict[str, str | float] = {"topic": name or topic("DC-1"), "at": at.isoformat(), "within_s": within_s}
    async with client(pool, Role.AUDITOR) as http:
        if payload is None:
            answer = await http.get("/v1/trace", params=question)
        else:
            told = {**question, "payload_base64": b64encode(payload).decode()}
            answer = await http.post("/v1/trace", json=told)
    result: dict[str, Any] = answer.raise_for_status().json()
    return result


async def test_stored_with_the_alerts_it_raised(pool: Any) -> None:
    await register(pool, "DC-1")
    gas, calm = body(NOW, 1, ch4_pct_lel=80.0), body(NOW - timedelta(seconds=9), 2, ch4_pct_lel=0.0)
    await (await flow_on(pool)).settle([delivery(calm), delivery(gas)], 1)
    for answer in (await traced(pool, NOW), await traced(pool, NOW, gas)):
        assert answer["verdict"] == "stored"
        assert ("manhole.methane", "opened") in [(one["rule"], one["step"]) for one in answer["alerts"]]
        assert answer["readings"][-1]["device"] == "DC-1"
    exact = await traced(pool, NOW, calm)
    assert (len(exact["readings"]), exact["alerts"], exact["exact"]) == (1, [], True)
    assert (await traced(pool, NOW, body(NOW, 1, ch4_pct_lel=81.0)))["verdict"] == "never_received"


async def test_duplicate_of_which_reading(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    same = body(NOW - timedelta(hours=1), 1, tilt_deg=1.0)
    await flow.settle([delivery(same, -3000)], 1)
    await flow.settle([delivery(same, 0), delivery(same, 1, again=True)], 2)
    for answer in (await traced(pool, NOW), await traced(pool, NOW, same)):
        assert answer["verdict"] == "duplicate"
        assert [one["redelivered"] for one in answer["duplicates"]] == [False, True]
        assert answer["duplicates"][0]["at"] == (NOW - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await traced(pool, NOW - timedelta(seconds=3000)))["verdict"] == "stored"


async def test_quarantined_why_and_settled_again_when(pool: Any) -> None:
    flow = await flow_on(pool)
    payload = body(NOW, 1, tilt_deg=1.0)
    await flow.settle([delivery(payload), delivery(b"{", 1)], 1)
    assert {one["reason"] for one in (await traced(pool, NOW))["quarantine"]} == {"unknown_device", "not_json"}
    answer = await traced(pool, NOW, payload)
    assert (answer["verdict"], len(answer["quarantine"])) == ("quarantined", 1)
    assert answer["quarantine"][0]["receipts"] == [NOW.isoformat().replace("+00:00", "Z")]
    await register(pool, "DC-1")
    await redrive(pool, flow, reason="unknown_device")
    answer = await traced(pool, NOW, payload)
    assert answer["verdict"] == "stored"
    assert answer["quarantine"][0]["state"] == "redriven"
    assert any("settled again at" in sentence for sentence in answer["sentences"])


async def test_ignored_is_certain_only_by_the_bytes(pool: Any) -> None:
    await register(pool, "DC-1")
    command = topic("DC-1", leaf="command")
    await (await flow_on(pool)).settle([Delivery(command, b"{}", NOW, 1, redelivered=False, generation=1)], 1)
    assert (await traced(pool, NOW, name=command))["verdict"] == "not_certain"
    assert (await traced(pool, NOW, b"{}", name=command))["verdict"] == "ignored"
    assert (await traced(pool, NOW + timedelta(hours=1), b"{}", name=command))["verdict"] == "never_received"


async def test_events_and_status_are_found_as_long_as_they_leave_a_trace(pool: Any) -> None:
    await register(pool, "DC-1")
    event, status = topic("DC-1", leaf="event"), topic("DC-1", leaf="status")
    door, lid = b'{"class": "door_opened"}', b'{"class": "lid_opened"}'
    flow = await flow_on(pool)
    said = [(event, door, 0), (status, b"offline", 0), (status, b"online", 200)]
    await flow.settle(
        [
            Delivery(name, what, NOW + timedelta(seconds=s), 1, redelivered=False, generation=1)
            for name, what, s in said
        ],
        1,
    )
    assert (await traced(pool, NOW, door, name=event))["events"][0]["event_class"] == "door_opened"
    assert (await traced(pool, NOW, lid, name=event))["verdict"] == "never_received"
    later = NOW + timedelta(seconds=190)
    for answer in (await traced(pool, later, name=status), await traced(pool, later, b"online", name=status)):
        assert (answer["verdict"], answer["statuses"][0]["online"]) == ("stored", True)
    assert (await traced(pool, NOW, b"offline", name=status))["verdict"] == "not_certain"


async def test_what_came_before_and_after_but_not_then_is_not_found(pool: Any) -> None:
    flow = await flow_on(pool)
    await flow.settle([delivery(b"{"), delivery(b"{", 600)], 1)
    assert (await traced(pool, NOW + timedelta(seconds=300), b"{"))["verdict"] == "never_received"
    assert (await traced(pool, NOW + timedelta(seconds=590), b"{"))["verdict"] == "quarantined"


async def test_never_received_and_whether_we_could_hear(pool: Any) -> None:
    await register(pool, "DC-1")
    nothing = await traced(pool, NOW)
    assert (nothing["verdict"], nothing["could_hear"]) == ("never_received", None)
    hour = timedelta(hours=1)
    await pool.execute("INSERT INTO coverage VALUES ('native', 'w', $1, $2)", NOW - hour, NOW + hour)
    await pool.execute(
        "INSERT INTO outage (source, worker, cause, began, ended) VALUES ('native', 'w', 'no heartbeat', $1, $2)",
        NOW - 2 * hour,
        NOW - hour,
    )
    answer = await traced(pool, NOW)
    assert (answer["could_hear"], "though we could hear" in answer["answer"]) == (True, True)
    answer = await traced(pool, NOW - hour * 1.5)
    assert (answer["could_hear"], answer["outages"][0]["cause"]) == (False, "no heartbeat")
    assert (await traced(pool, NOW, name="nobody/reads/this"))["source"] == "none"


async def test_a_time_reckoned_from_the_receipt_is_found_near_it(pool: Any) -> None:
    await register(pool, "DC-1", aliases={"senml": "one"})
    pack = b'[{"bn": "one:", "n": "tilt_deg", "v": 3, "t": -5}]'
    timeless = body(None, 1, tilt_deg=2.0)
    flow = await flow_on(pool)
    first = Delivery("senml/1", pack, NOW, 7, redelivered=False, generation=1)
    await flow.settle([first, delivery(timeless)], 1)
    again = Delivery("senml/1", pack, NOW + timedelta(seconds=40), 7, redelivered=True, generation=2)
    await (await flow_on(pool)).settle([again], 2)
    # Its times are relative to its receipt, so its redelivery keeps the first and is no other reading.
    assert await pool.fetchval("SELECT count(*) FROM reading WHERE at = $1", NOW - timedelta(seconds=5)) == 1
    assert await pool.fetchval("SELECT count(*) FROM reading") == 2
    asked = NOW + timedelta(seconds=20)
    assert (await traced(pool, asked, timeless))["verdict"] == "stored"
    assert (await traced(pool, asked, pack, name="senml/1"))["verdict"] == "stored"
    assert (await traced(pool, asked, name="senml/1"))["verdict"] == "never_received"


async def test_who_may_ask(pool: Any) -> None:
    async with client(pool, Role.OPERATOR) as http:
        question = {"topic": "t", "at": NOW.isoformat()}
        assert (await http.get("/v1/trace", params=question)).status_code == 403
        assert (await http.post("/v1/trace", json={**question, "payload_base64": ""})).status_code == 403
    async with client(pool, Role.AUDITOR) as http:
        assert (await http.post("/v1/trace", json={**question, "payload_base64": "?"})).status_code == 422
        assert (await http.get("/v1/trace", params={**question, "at": "0001-01-01T00:00:00Z"})).status_code == 200


async def test_on_the_command_line(
    pool: Any, database_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREETWARDEN_DATABASE_URL", database_url)
    await register(pool, "DC-1")
    payload = body(NOW, 1, tilt_deg=1.0)
    await (await flow_on(pool)).settle([delivery(payload)], 1)
    file = tmp_path / "payload.json"
    file.write_bytes(payload)
    words = ["trace", "--topic", topic("DC-1"), "--at", NOW.isoformat(), "--within", "2m"]

    async def run(*more: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, build_app(), [*words, *more])

    told = await run("--payload", str(file))
    assert told.exit_code == 0, told.exception
    assert told.stdout.startswith("stored: It was received and stored.")
    assert f"Reading of DC-1 at {NOW.isoformat().replace('+00:00', 'Z')}" in told.stdout
    assert '"verdict": "stored"' in (await run("--json")).stdout
    assert "--within" in str((await run("--within", "2 years")).exception)
    check = await asyncio.to_thread(CliRunner().invoke, build_app(), ["ledger", "check", "--deep"])
    assert (check.exit_code, "The books balance." in check.stdout) == (0, True)
    await pool.execute("UPDATE ledger_minute SET stored = 2")
    check = await asyncio.to_thread(CliRunner().invoke, build_app(), ["ledger", "check"])
    assert check.exit_code == 1
    assert "contained 1, but stored + duplicate + conflicting + rejected are 2" in check.stdout
