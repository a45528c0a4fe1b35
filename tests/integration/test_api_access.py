"""Who may do what over HTTP, and that every error leaves as a problem that tells nothing of the inside."""

from collections.abc import AsyncGenerator

import asyncpg
import httpx
import pytest
from fastapi.routing import APIRoute

from api.app import create_app
from api.gate import MAX_BODY_BYTES
from domain.role import Role
from store.keys import any_admin_key, create_key, list_keys, revoke_key
from tests.support.api import NOW, StillClock, client, registered

OPEN = {"/v1/health/live", "/v1/health/ready", "/docs", "/openapi.json"}

CREWS = {"/v1/assets/{name}/check-in", "/v1/assets/{name}/check-out"}


async def test_nothing_but_health_and_description_opens_without_a_key(pool: asyncpg.Pool) -> None:
    document = create_app(pool, StillClock()).openapi()
    async with client(pool, None) as http:
        for path in OPEN:
            assert (await http.get(path)).status_code == 200
        asked = 0
        for path, operations in document["paths"].items():
            for method in operations:
                if path not in OPEN:
                    asked += 1
                    filled = path.replace("{name}", "x").replace("{number}", "1").replace("{key}", "x")
                    answer = await http.request(method, filled.replace("{key_id}", "x"))
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert asked > 20


async def test_every_route_that_writes_demands_more_than_reading(pool: asyncpg.Pool) -> None:
    document = create_app(pool, StillClock()).openapi()
    for role in (Role.VIEWER, Role.HANDLER, Role.CHECKER, Role.AUDITOR):
        async with client(pool, role) as http:
            for path, operations in document["paths"].items():
                for method in set(operations) - {"get"}:
                    if (role, path) == (Role.AUDITOR, "/v1/trace"):
                        continue  # a question whose bytes need a body; it writes nothing
                    if role is Role.HANDLER and path in CREWS:
                        continue  # whoever mends the street says that he is there
                    filled = path.replace("{name}", "x").replace("{number}", "1").replace("{key_id}", "x")
                    body = operations[method].get("requestBody", {}).get("content", {}).get("application/json", {})
                    name = str(body.get("schema", {}).get("$ref", "")).rpartition("/")[2]
                    example = document["components"]["schemas"].get(name, {}).get("example", {})
                    answer = await http.request(method, filled, json=example)
                    assert answer.status_code == 403, (role, method, path)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Basic c3c6eA==", "Bearer sw_000000000000_" + "a" * 43, "Bearer sw_0_" + "é" * 43],
)
async def test_a_wrong_key_is_refused(pool: asyncpg.Pool, header: str) -> None:
    async with client(pool, None) as http:
        answer = await http.get("/v1/kinds", headers=[(b"Authorization", header.encode())])
    assert answer.status_code == 401


async def test_a_key_with_another_secret_or_revoked_is_refused(pool: asyncpg.Pool) -> None:
    assert not await any_admin_key(pool)
    key = await create_key(pool, name="one", role="admin", now=NOW)
    assert await any_admin_key(pool)
    (listed,) = await list_keys(pool)
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    async with client(pool, None) as http:
        assert (await http.get("/v1/kinds", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert (await http.get("/v1/kinds", headers={"Authorization": f"Bearer {forged}"})).status_code == 401
        await revoke_key(pool, listed.id, NOW)
        assert (await http.get("/v1/kinds", headers={"Authorization": f"Bearer {key}"})).status_code == 401
    assert not await any_admin_key(pool)


async def test_secrets_are_nowhere_in_the_database(pool: asyncpg.Pool) -> None:
    key = await create_key(pool, name="one", role="viewer", now=NOW)
    secret = key.split("_", 2)[2]
    row = await pool.fetchrow("SELECT * FROM api_key")
    assert row is not None
    assert not any(secret in str(value) for value in row.values())


async def test_keys_are_managed_over_http_by_admins(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        made = (await http.post("/v1/keys", json={"name": "wall", "role": "viewer"})).raise_for_status().json()["key"]
        as_wall = {"Authorization": f"Bearer {made}"}
        assert (await http.get("/v1/alerts", headers=as_wall)).status_code == 200
        items = (await http.get("/v1/keys")).json()["items"]
        ids = {item["name"]: item["id"] for item in items}
        assert made not in str(items)
        assert (await http.post(f"/v1/keys/{ids['wall']}/revoke")).status_code == 204
        assert (await http.get("/v1/alerts", headers=as_wall)).status_code == 401
        assert (await http.post(f"/v1/keys/{ids['test admin']}/revoke")).status_code == 409
        assert (await http.post("/v1/keys", json={"name": "x", "role": "king"})).status_code == 422


async def _problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:streetwarden:problem:{code}"
    assert {"title", "detail", "instance"} <= problem.keys()
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem


async def test_every_error_is_a_problem(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    json = {"Content-Type": "application/json"}
    async with client(pool) as http:
        await _problem(await http.get("/v1/nothing"), 404, "not_found")
        await _problem(await http.get("/v1/devices/none"), 404, "not_found")
        await _problem(await http.delete("/v1/devices/a"), 405, "method_not_allowed")
        await _problem(await http.get("/v1/alerts?limit=501"), 422, "invalid_input")
        await _problem(await http.get("/v1/alerts?cursor=%00"), 422, "invalid_cursor")
        await _problem(await http.get("/v1/alerts?cursor=WzEsMiwzXQ"), 422, "invalid_cursor")
        await _problem(await http.get("/v1/alerts?kind=%00"), 422, "invalid_input")
        await _problem(await http.get("/v1/devices/%00"), 422, "invalid_input")
        await _problem(await http.get("/v1/alerts/99999999999999999999"), 422, "invalid_input")
        await _problem(await http.post("/v1/devices", content=b"{", headers=json), 400, "malformed")
        problem = await _problem(await http.post("/v1/devices", json={"nme": "x"}), 422, "invalid_input")
        assert {"field": "nme", "expected": "Extra inputs are not permitted"} in problem["errors"]  # type: ignore[operator]


async def test_what_nobody_foresaw_is_a_500_without_a_word_of_the_inside(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("api.routes.rules.list_revisions", fails)
    async with client(pool) as http:
        answer = await http.get("/v1/rules")
    await _problem(answer, 500, "internal_error")
    assert "hunter2" not in answer.text


async def test_a_database_that_went_away_is_a_503(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        await pool.close()
        await _problem(await http.get("/v1/alerts"), 503, "unavailable")
        ready = await http.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["database"]) == (503, False)
        assert (await http.get("/v1/health/live")).status_code == 200


async def test_a_body_beyond_the_limit_is_refused_with_and_without_a_length(pool: asyncpg.Pool) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b" " * (MAX_BODY_BYTES // 10)

    async with client(pool) as http:
        json = {"Content-Type": "application/json"}
        await _problem(
            await http.post("/v1/devices", content=b" " * (MAX_BODY_BYTES + 1), headers=json), 413, "too_large"
        )
        await _problem(await http.post("/v1/devices", content=pieces(), headers=json), 413, "too_large")


async def test_every_answer_carries_the_headers_that_browsers_obey(pool: asyncpg.Pool) -> None:
    async with client(pool, None) as http:
        for path in ("/v1/health/live", "/v1/alerts", "/nothing", "/docs"):
            headers = (await http.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert (await http.get("/docs", headers={"X-Request-Id": "abc-12345"})).headers["X-Request-Id"] == "abc-12345"
        assert (await http.get("/docs", headers={"X-Request-Id": "a\tb" * 9})).headers["X-Request-Id"] != "a\tb" * 9


async def test_the_description_page_needs_no_script_and_no_internet(pool: asyncpg.Pool) -> None:
    async with client(pool, None) as http:
        page = (await http.get("/docs")).text
    assert "/v1/alerts" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page


async def test_the_description_names_the_problems_the_key_and_gives_examples(pool: asyncpg.Pool) -> None:
    app = create_app(pool, StillClock())
    document = app.openapi()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert "example" in document["components"]["schemas"]["Alert"]
    answers = document["paths"]["/v1/devices"]["post"]["responses"]
    assert set(answers) >= {"201", "401", "403", "409", "422", "500", "503"}
    assert answers["422"]["content"].keys() == {"application/problem+json"}
    assert all(isinstance(route, APIRoute) for route in app.routes if getattr(route, "include_in_schema", False))
