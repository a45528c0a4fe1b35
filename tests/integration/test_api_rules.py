"""Rules over HTTP: written, judged, found in the history, restored; refused with the path of the wrong field."""

from typing import Any

import asyncpg
import httpx
import pytest

from devices.catalogue import load_kinds
from domain.role import Role
from tests.support.api import client
from tests.support.ruled import START, RuledStreet, steep

STEEP = "/v1/rules/manhole.steep"


@pytest.fixture
async def street(pool: asyncpg.Pool) -> RuledStreet:
    return await RuledStreet(pool).open()


async def put(http: httpx.AsyncClient, rule: dict[str, object], reason: str = "", **headers: str) -> httpx.Response:
    body = {"rule": rule, "reason": reason}
    return await http.put(
        f"/v1/rules/{rule['key']}", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_a_rule_is_written_listed_and_judged_and_its_alert_names_all_that_raised_it(street: RuledStreet) -> None:
    async with client(street.pool, Role.ENGINEER) as http:
        written = await put(http, steep(), "trial")
        assert written.status_code == 200, written.text
        told = written.json()
        assert (told["source"], told["author"], told["enabled"], told["shadow"]) == (
            "api",
            "test engineer",
            True,
            False,
        )
        assert written.headers["ETag"] == f'"{told["digest"]}"'
        listed = {item["key"]: item for item in (await http.get("/v1/rules")).json()["items"]}
        assert listed["manhole.steep"]["digest"] == told["digest"]
        assert listed["manhole.steep"]["revision"] == told["revision"] is not None
        assert listed["manhole.tilt"]["source"] == "default"
        street.known.forget()
        street.clock.time = START.replace(minute=2)
        await street.deliver(0, tilt_deg=40.0)
        await street.tick(120)
        alerts = (await http.get("/v1/alerts?rule=manhole.steep")).json()["items"]
        assert [(a["digest"], a["revision"], a["value"]) for a in alerts] == [(told["digest"], told["revision"], 40.0)]
        alert = (await http.get(f"/v1/alerts/{alerts[0]['id']}")).json()
        assert (alert["reading_at"], alert["received_at"]) == ("2026-03-01T08:00:00Z", "2026-03-01T08:02:00Z")
        (step,) = alert["steps"]
        assert (step["reading_at"], step["received_at"], step["value"]) == (
            "2026-03-01T08:00:00Z",
            "2026-03-01T08:02:00Z",
            40.0,
        )
        revision = (await http.get(f"{STEEP}/revisions/{alert['digest']}")).json()
        assert revision["body"] == alert["rule_body"] == told["body"]
        assert (await http.get(f"{STEEP}/revisions/0123456789abcdef")).status_code == 404


async def test_what_a_rule_is_told_comes_back_and_can_be_written_again(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        first = (await put(http, steep())).json()
        again = await http.put(STEEP, json={"rule": first["rule"]})
        assert again.json()["digest"] == first["digest"]
        assert len((await http.get(f"{STEEP}/history")).json()["items"]) == 1
        default = (await http.get("/v1/rules/manhole.tilt")).json()
        assert default["rule"] == default["default"]
        copied = (await http.put("/v1/rules/manhole.tilt", json={"rule": default["rule"]})).json()
        assert (copied["digest"], copied["source"]) == (default["digest"], "api")


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": "x"}]}},
         "rule.condition.levels.0.limit", "a number, not 'x'"),
        ({"condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 1, "holds": 1}]}},
         "rule.condition.levels.0.holds",
         "a level knows no holds; it knows severity, limit, clear, hold_s, keep_s"),
        ({"kind": "nothing"}, "rule.kind", None),
        ({"kind": "reported"}, "rule.kind", None),
        ({"title": "\x00"}, "rule.title", "a text of at most 200 printable characters, not '\\x00'"),
        ({"colour": "red"}, "rule.colour", None),
        ({"key": "manhole.other"}, "rule.key", "manhole.steep, as in the path, or nothing"),
        ({"title": None}, "rule.title", None),
    ],
)  # fmt: skip
async def test_a_wrong_rule_is_refused_with_the_path_of_the_field(
    pool: asyncpg.Pool, change: dict[str, object], field: str, expected: str | None
) -> None:
    async with client(pool) as http:
        answer = await http.put(STEEP, json={"rule": {**steep(), **change}})
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["field"] == field
        assert expected is None or error["expected"] == expected
        assert (await http.get(STEEP)).status_code == 404


async def test_two_who_saw_the_same_rule_cannot_both_change_it(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        seen = (await put(http, steep())).headers["ETag"]
        assert (await put(http, steep(limit=31), If_Match=seen)).status_code == 200
        late = await put(http, steep(limit=32), If_Match=seen)
        assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
        assert (await http.delete(STEEP, headers={"If-Match": seen})).status_code == 412
        assert (await http.get(STEEP)).json()["rule"]["condition"]["levels"][0]["limit"] == 31
        tilt = (await http.get("/v1/rules/manhole.tilt")).headers["ETag"]
        off: dict[str, object] = {"key": "manhole.tilt", "enabled": False}
        assert (await put(http, off, If_Match=tilt)).status_code == 200
        assert (await put(http, {**steep(), "key": "manhole.none"}, If_Match=tilt)).status_code == 412


async def test_the_history_tells_who_and_why_and_any_form_is_restored(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        first = (await put(http, steep(), "one")).json()["digest"]
        second = (await put(http, steep(limit=50), "two")).json()["digest"]
        assert (await http.delete(STEEP, params={"reason": "three"})).status_code == 204
        assert (await http.get(STEEP)).status_code == 404
        assert (await http.delete(STEEP)).status_code == 404
        restored = await http.post(f"{STEEP}/restore", json={"digest": first, "reason": "four"})
        assert restored.json()["digest"] == first
        page = (await http.get(f"{STEEP}/history?limit=3")).json()
        rest = (await http.get(f"{STEEP}/history?limit=3&cursor={page['next']}")).json()
        changes = [*page["items"], *rest["items"]]
        assert [(c["reason"], c["from_digest"], c["to_digest"]) for c in changes] == [
            ("four", None, first),
            ("three", second, None),
            ("two", first, second),
            ("one", None, first),
        ]
        assert {c["author"] for c in changes} == {"test admin"}
        assert (await http.post(f"{STEEP}/restore", json={"digest": "0" * 16})).status_code == 404


async def test_restoring_a_default_takes_the_rule_out_of_the_book(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        default = (await http.get("/v1/rules/manhole.tilt")).json()["digest"]
        await put(http, {"key": "manhole.tilt", "enabled": False})
        off = (await http.get("/v1/rules/manhole.tilt")).json()
        assert (off["enabled"], off["source"]) == (False, "api")
        back = await http.post("/v1/rules/manhole.tilt/restore", json={"digest": default})
        assert (back.json()["enabled"], back.json()["source"]) == (True, "default")
        taken = await http.delete("/v1/rules/manhole.tilt")
        assert (taken.status_code, taken.json()["code"]) == (409, "conflict")


async def test_a_trial_is_counted_and_listed_and_the_explanation_marks_it(street: RuledStreet) -> None:
    async with client(street.pool) as http:
        written = await put(http, {**steep(limit=12), "key": "manhole.tilt", "shadow": True})
        assert written.json()["shadow_alerts"] == {"alerts": 0, "firing": 0, "devices": 0}
        street.known.forget()
        await street.deliver(0, tilt_deg=13.0)
        await street.tick(31)
        told = (await http.get("/v1/rules/manhole.tilt")).json()
        assert (told["shadow"], told["shadow_alerts"]) == (True, {"alerts": 1, "firing": 1, "devices": 1})
        (one,) = (await http.get("/v1/rules/manhole.tilt/shadow-alerts")).json()["items"]
        assert (one["device"], one["value"], one["digest"]) == ("MH-1", 13.0, told["digest"])
        assert (one["reading_at"], one["received_at"]) == ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z")
        assert (await http.get("/v1/alerts?state=all")).json()["items"] == []
        listed = [i for i in (await http.get("/v1/rules")).json()["items"] if i["key"] == "manhole.tilt"]
        assert [(item["source"], item["shadow"]) for item in listed] == [("default", False), ("api", True)]
        rules = (await http.get("/v1/devices/MH-1/rules")).json()["rules"]
        states = {(r["key"], r["shadow"]): (r["state"], r["alert"]) for r in rules if r["key"] == "manhole.tilt"}
        assert states == {("manhole.tilt", False): ("clear", None), ("manhole.tilt", True): ("firing", None)}


async def test_devices_and_groups_depart_from_a_rule_of_the_book_and_outlive_it(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        device = {"name": "mh-1", "kind": "manhole", "district": "511703"}
        own = {"overrides": {"manhole.steep": {"major": {"limit": 60}}}}
        assert (await http.post("/v1/devices", json={**device, **own})).status_code == 422
        await put(http, steep())
        assert (await http.post("/v1/devices", json={**device, **own})).status_code == 201
        group = "/v1/rule-overrides/circuit/C-1/manhole.steep"
        answer = await http.put(group, json={"parameters": {"major": {"hold_s": 5}}, "reason": "short"})
        assert answer.status_code == 200, answer.text
        silence = {"scope": {"rule": "manhole.steep"}, "ends_at": "2026-11-22T12:00:00Z", "reason": "on trial"}
        assert (await http.post("/v1/silences", json=silence)).status_code == 201
        await http.delete(STEEP)
        assert (await http.patch("/v1/devices/mh-1", json={"interval_s": 60})).status_code == 200
        assert (await http.patch("/v1/devices/mh-1", json=own)).status_code == 422


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.ENGINEER, Role.ADMIN}])
async def test_only_engineers_and_admins_write_rules(pool: asyncpg.Pool, role: Role) -> None:
    async with client(pool, role) as http:
        assert (await http.get("/v1/rules/manhole.tilt")).status_code == 200
        for answer in (
            await put(http, steep()),
            await http.delete(STEEP),
            await http.post(f"{STEEP}/restore", json={"digest": "0" * 16}),
        ):
            assert answer.status_code == 403


async def test_refused_files_are_shown_where_the_rules_are(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "INSERT INTO rule_file_refused VALUES ('own.yaml', $1, ARRAY['own.yaml, line 3: limit must be a number'])",
        START,
    )
    async with client(pool, Role.VIEWER) as http:
        told: dict[str, Any] = (await http.get("/v1/rules")).json()
        assert (await http.get("/v1/health/ready")).json()["rule_files_refused"] == ["own.yaml"]
    assert told["refused_files"] == [
        {
            "file": "own.yaml",
            "since": "2026-03-01T08:00:00Z",
            "complaints": ["own.yaml, line 3: limit must be a number"],
        }
    ]
    assert {item["key"] for item in told["items"]} >= {r.key for k in load_kinds().values() for r in k.rules}
