"""Assets, devices and fittings over HTTP, and what the registry tells of a device's present."""

from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from domain.role import Role
from tests.support.api import NOW, StillClock, client, make_alert, registered

ASSET: dict[str, Any] = {"name": "JG-1", "kind": "manhole", "district": "511703", "component_code": "5117030102000815"}
DEVICE: dict[str, Any] = {
    "name": "mh-1",
    "kind": "manhole",
    "district": "511703",
    "aliases": {"chirpstack_v4": " 24E124468C321234 "},
    "overrides": {"manhole.tilt": {"baseline": 3.5}},
}


async def test_a_device_is_created_with_its_asset_and_all_that_ingest_needs(pool: asyncpg.Pool) -> None:
    async with client(pool, Role.ENGINEER) as http:
        answer = await http.post("/v1/devices", json={**DEVICE, "asset": ASSET})
        assert (answer.status_code, answer.headers["Location"]) == (201, "/v1/devices/mh-1")
        body = (await http.get("/v1/devices/mh-1")).json()
        asset = (await http.get("/v1/assets/JG-1")).json()
    assert body["aliases"] == {"native": ["mh-1"], "chirpstack_v4": ["24e124468c321234"]}
    assert (body["asset"], asset["devices"], body["life_cycle"]) == ("JG-1", ["mh-1"], "in_service")
    assert body["fittings"] == [{"asset": "JG-1", "fitted_from": "2026-11-22T08:00:00Z", "fitted_until": None}]
    for table in ("device_state", "device_timer"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 1


async def test_an_asset_needs_no_device_and_its_chinese_name_stands_in_the_path(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        answer = await http.post("/v1/assets", json={**ASSET, "name": "达川井 1"})
        assert answer.status_code == 201
        assert (await http.get("/v1/assets/达川井 1")).json()["devices"] == []
        patched = await http.patch("/v1/assets/达川井 1", json={"keeper": "养护所", "attributes": {"depth_m": 2.4}})
        assert patched.json()["keeper"] == "养护所"
        emptied = await http.patch("/v1/assets/达川井 1", json={"keeper": None, "component_code": None})
        assert (emptied.json()["keeper"], emptied.json()["attributes"]) == (None, {"depth_m": 2.4})


async def test_assets_are_listed_by_site_and_circuit(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        for name, site, circuit in (("LD-1", "S-1", "C-1"), ("LD-2", "S-1", "C-2"), ("LD-3", None, "C-2")):
            body = {"name": name, "kind": "streetlight", "district": "511703", "site": site, "circuit": circuit}
            (await http.post("/v1/assets", json=body)).raise_for_status()

        async def listed(query: str) -> list[str]:
            return [each["name"] for each in (await http.get(f"/v1/assets?{query}")).json()["items"]]

        assert await listed("site=S-1") == ["LD-1", "LD-2"]
        assert await listed("circuit=C-2") == ["LD-2", "LD-3"]
        moved = (await http.patch("/v1/assets/LD-3", json={"site": "S-1", "circuit": None})).json()
        assert (moved["site"], moved["circuit"]) == ("S-1", None)
        assert await listed("site=S-1&circuit=C-2") == ["LD-2"]
        refused = await http.patch("/v1/assets/LD-3", json={"circuit": "a/b"})
        assert [each["field"] for each in refused.json()["errors"]] == ["circuit"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"kind": "dragon"}, "kind"),
        ({"district": "5117"}, "district"),
        ({"aliases": {"carrier pigeon": "x"}}, "aliases"),
        ({"aliases": {"native": "other"}}, "aliases"),
        ({"interval_s": 0}, "interval_s"),
        ({"overrides": {"manhole.tilt": {"baselin": 1}}}, "overrides"),
        ({"overrides": {"bin.full": {}}}, "overrides"),
        ({"fields": {"angle": "tilt"}}, "fields"),
        ({"model": "a\x00b"}, "model"),
        ({"asset": {**ASSET, "component_code": "12"}}, "asset.component_code"),
        ({"asset": {**ASSET, "longitude": 107.5}}, "asset.latitude"),
        ({"asset": {**ASSET, "attributes": {"a": "\x00"}}}, "asset.attributes"),
        ({"asset": {**ASSET, "source_datum": "gcj02"}}, "asset.source_datum"),
    ],
)
async def test_what_cannot_be_registered_is_refused_field_by_field(
    pool: asyncpg.Pool, change: dict[str, Any], field: str
) -> None:
    async with client(pool) as http:
        answer = await http.post("/v1/devices", json={**DEVICE, **change})
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert await pool.fetchval("SELECT count(*) FROM device") == 0


async def test_what_is_taken_is_a_conflict_and_changes_nothing(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        (await http.post("/v1/devices", json={**DEVICE, "asset": ASSET})).raise_for_status()
        taken: list[dict[str, Any]] = [
            {},
            {"name": "mh-2"},
            {"name": "mh-2", "aliases": {}, "asset": ASSET},
            {"name": "mh-2", "aliases": {}, "asset": {**ASSET, "name": "JG-2"}},
            {"name": "mh-2", "aliases": {}, "asset": "JG-none"},
        ]
        for change in taken:
            body = {**DEVICE, **change}
            answer = await http.post("/v1/devices", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), body
    assert await pool.fetchval("SELECT count(*) FROM device") == 1
    assert await pool.fetchval("SELECT count(*) FROM asset") == 1


async def test_a_patch_changes_what_it_names_and_nothing_else(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        await http.post("/v1/devices", json={**DEVICE, "interval_s": 60, "model": "EM300"})
        body = (await http.patch("/v1/devices/mh-1", json={"interval_s": None, "life_cycle": "suspended"})).json()
        assert (body["interval_s"], body["life_cycle"], body["model"]) == (None, "suspended", "EM300")
        assert body["aliases"]["chirpstack_v4"] == ["24e124468c321234"]
        body = (await http.patch("/v1/devices/mh-1", json={"aliases": {"senml": "urn:dev:mac:1"}})).json()
        assert body["aliases"] == {"native": ["mh-1"], "senml": ["urn:dev:mac:1"]}
        assert (await http.patch("/v1/devices/mh-1", json={"name": "x"})).status_code == 422
        assert (await http.patch("/v1/devices/none", json={})).status_code == 404


async def test_moving_a_device_ends_its_fitting_and_keeps_the_history(pool: asyncpg.Pool) -> None:
    clock = StillClock()
    async with client(pool, clock=clock) as http:
        await http.post("/v1/devices", json={**DEVICE, "asset": ASSET})
        await http.post("/v1/assets", json={"name": "JG-2", "kind": "manhole", "district": "511703"})
        clock.time = NOW + timedelta(hours=2)

        async def fit(**body: str) -> httpx.Response:
            return await http.post("/v1/devices/mh-1/fitting", json=body)

        assert (await fit(asset="JG-1")).json()["fittings"][0]["fitted_from"] == "2026-11-22T08:00:00Z"
        moved = (await fit(asset="JG-2", **{"from": "2026-11-22T09:00:00Z"})).raise_for_status().json()
        assert moved["asset"] == "JG-2"
        assert moved["fittings"][1] == {
            "asset": "JG-1",
            "fitted_from": "2026-11-22T08:00:00Z",
            "fitted_until": "2026-11-22T09:00:00Z",
        }
        assert (await fit(asset="JG-1", **{"from": "2026-11-22T08:30:00Z"})).status_code == 409
        assert (await fit(asset="JG-1", **{"from": "2026-11-22T12:00:00Z"})).status_code == 422
        assert (await fit(asset="none")).status_code == 404
        assert (await http.post("/v1/devices/mh-1/unfit")).json()["asset"] is None
        assert (await http.post("/v1/devices/mh-1/unfit")).status_code == 409


async def test_devices_are_listed_by_filter_and_page(pool: asyncpg.Pool) -> None:
    await registered(pool, *(f"mh-{n:02}" for n in range(7)))
    await registered(pool, "gas-1", kind="gas_meter")
    async with client(pool, Role.VIEWER) as http:
        first = (await http.get("/v1/devices?kind=manhole&limit=5")).json()
        second = (await http.get("/v1/devices", params={"kind": "manhole", "limit": 5, "cursor": first["next"]})).json()
        assert [each["name"] for each in first["items"] + second["items"]] == [f"mh-{n:02}" for n in range(7)]
        assert second["next"] is None
        by_asset = (await http.get("/v1/devices?asset=A-gas-1")).json()["items"]
        assert [each["name"] for each in by_asset] == ["gas-1"]
        assert len((await http.get("/v1/assets?kind=manhole")).json()["items"]) == 7


async def test_a_device_shows_its_present(pool: asyncpg.Pool) -> None:
    await registered(pool, "mh-1")
    number = await make_alert(pool, "mh-1")
    microseconds = int(NOW.timestamp()) * 1_000_000 + 5
    await pool.execute(
        "UPDATE device_state SET last_at = $1, heard_at = $1, online = true, seq = 9, readings = 1, measures = $2",
        NOW,
        orjson.dumps({"tilt_deg": [1.5, microseconds, -7], "lid_open": [False, microseconds, -7]}),
    )
    async with client(pool) as http:
        body = (await http.get("/v1/devices/mh-1")).json()
    assert body["state"]["measures"] == {
        "tilt_deg": {"value": 1.5, "at": "2026-11-22T08:00:00.000005Z"},
        "lid_open": {"value": False, "at": "2026-11-22T08:00:00.000005Z"},
    }
    assert [alert["id"] for alert in body["state"]["firing"]] == [number]
    assert (body["online"], body["state"]["seq"]) == (True, 9)
