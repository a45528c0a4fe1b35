"""Backtests over HTTP: asked for, worked off by a process beside the API, and refused with a sentence."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from devices.catalogue import load_kinds
from devices.rule_book import read_rule
from domain.role import Role
from ingest.delivery import Delivery
from service.backtest_jobs import follow_backtests, work_off
from service.rule_applying import apply_rules
from service.rule_file import read_rules, write_rules
from service.settings import Settings, load_settings
from store.backtests import MOST_OPEN, claim_backtest
from store.rule_book import Author
from tests.support.api import NOW, StillClock, client, registered
from tests.support.flow import flow_on
from tests.support.publishing import topic, until

BEGIN = NOW - timedelta(hours=2)
ASKED = {"from": BEGIN.isoformat(), "to": NOW.isoformat()}
STEEPER = {"key": "manhole.tilt", "condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 50}]}}


async def tilted(pool: asyncpg.Pool) -> None:
    """A cover that tilted by 20° for a quarter of an hour, and then by 60°."""
    await registered(pool, "mh-1")
    flow = await flow_on(pool, clock=StillClock(NOW))
    batch: list[Delivery] = []
    for minute, tilt in enumerate([1, 20, 20, 20, 1, 60, 60, 60, 1]):
        at = BEGIN + timedelta(minutes=5 * minute + 1)
        payload = orjson.dumps({"ts": at.isoformat(), "values": {"tilt_deg": tilt}})
        batch.append(Delivery(topic("mh-1"), payload, at, 1, redelivered=False, generation=1))
    await flow.settle(batch, 1)


def settings_on(url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STREETWARDEN_DATABASE_URL", url)
    return load_settings()


async def ask(http: Any, **more: object) -> dict[str, Any]:
    answer = await http.post("/v1/backtests", json={**ASKED, **more})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_candidate_is_tried_by_a_process_of_its_own(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tilted(pool)
    following = asyncio.create_task(follow_backtests(settings_on(database_url, monkeypatch), pool))
    try:
        async with client(pool, Role.ENGINEER) as http:
            asked = await ask(http, rules=[STEEPER])
            assert (asked["state"], asked["share"], asked["result"]) == ("queued", 0, None)

            async def done() -> Any:
                told = (await http.get(f"/v1/backtests/{asked['id']}")).json()
                return told if told["state"] not in {"queued", "running"} else None

            told = await until(done)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    assert (told["state"], told["share"], told["error"]) == ("done", 1, None)
    result = told["result"]
    assert (result["in_force"]["alerts"], result["candidate"]["alerts"]) == (2, 1)
    assert (result["in_force"]["tickets"], result["candidate"]["tickets"]) == (2, 1)
    [missed] = result["difference"]["alerts_only_in_force"]
    assert (missed["device"], missed["rule"], missed["value"], missed["lasts_s"]) == ("mh-1", "manhole.tilt", 20, 870)
    assert told["asked"]["rules"] == [STEEPER]


async def test_without_candidates_the_rules_in_force_are_tried(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tilted(pool)
    settings = settings_on(database_url, monkeypatch)
    async with client(pool) as http:
        good, bad = await ask(http), await ask(http, devices=["mh-2"])
        assert await work_off(settings, pool) == 2
        done = (await http.get(f"/v1/backtests/{good['id']}")).json()
        failed = (await http.get(f"/v1/backtests/{bad['id']}")).json()
    assert (done["state"], done["result"]["readings"]) == ("done", 9)
    assert done["result"]["in_force"]["alerts"] == 2
    assert "difference" not in done["result"]
    assert (failed["state"], failed["result"], failed["error"]) == ("failed", None, "there is no device mh-2")


async def test_a_candidate_takes_the_place_of_what_the_rule_book_has(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await tilted(pool)
    path = tmp_path / "steeper.yaml"
    path.write_text(write_rules([read_rule(STEEPER, load_kinds())]))
    await apply_rules(pool, [(one, path) for one in read_rules(path)], Author("Li Wei", "file"), NOW)
    gentle = {
        "key": "manhole.tilt",
        "condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 10}]},
    }
    async with client(pool) as http:
        present, tried = await ask(http), await ask(http, rules=[gentle])
        assert await work_off(settings_on(database_url, monkeypatch), pool) == 2
        results = [(await http.get(f"/v1/backtests/{one['id']}")).json()["result"] for one in (present, tried)]
    assert results[0]["in_force"]["alerts"] == 1
    assert (results[1]["candidate"]["alerts"], results[1]["in_force"]["alerts"]) == (2, 1)


async def test_one_that_was_abandoned_is_taken_up_by_another(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        asked = await ask(http)
    first = await claim_backtest(pool, NOW)
    assert first is not None
    assert first.id == asked["id"]
    assert await claim_backtest(pool, NOW + timedelta(seconds=30)) is None
    again = await claim_backtest(pool, NOW + timedelta(seconds=90))
    assert again is not None
    assert again.id == asked["id"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"rules": [{"key": "manhole.tilt", "condition": {"measure": "weight"}}]}, "rules[0]"),
        ({"kind": "tram"}, "one of bin, "),
        ({"from": NOW.isoformat()}, "from must lie before to"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_makes_no_sense_is_refused(pool: asyncpg.Pool, body: dict[str, Any], sentence: str) -> None:
    async with client(pool) as http:
        answer = await http.post("/v1/backtests", json={**ASKED, **body})
        assert answer.status_code == 422
        assert sentence in answer.text
        assert (await http.get("/v1/backtests/7")).status_code == 404


async def test_the_queue_has_a_bound_and_only_engineers_may_ask(pool: asyncpg.Pool) -> None:
    async with client(pool, Role.OPERATOR) as http:
        assert (await http.post("/v1/backtests", json=ASKED)).status_code == 403
    async with client(pool, Role.ENGINEER) as http:
        for _ in range(MOST_OPEN):
            await ask(http)
        refused = await http.post("/v1/backtests", json=ASKED)
    assert refused.status_code == 409
    assert "wait or run already" in refused.json()["detail"]
