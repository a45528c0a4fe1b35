"""Rules over several devices from the book: in force without a restart, and what they held is let go of with them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from devices.catalogue import load_group_rules, load_kinds
from devices.rule_book import SEVERAL, BookRule, read_rule
from domain.role import Role
from service.cases import Cases
from service.coordinator.balance_look import BalanceLook
from service.coordinator.coordinator import Coordinator
from service.coordinator.look import GroupLook
from service.known import KnownDevices
from service.rule_applying import apply_rules, rules_in_force
from service.rule_file import read_rule_files, write_rules
from store.rule_book import Author
from tests.support.api import client
from tests.support.circuits import NOW, Coordinated, coordinated, register_street, told
from tests.support.flow import ZONE
from tests.support.publishing import until
from tests.support.registered import register

LAMPS = [f"SL-{number}" for number in range(6)]
DARK = "streetlight.circuit_dark"


@pytest.fixture
async def street(pool: Any) -> Coordinated:
    await register_street(pool, LAMPS, circuit="XH-01")
    return await coordinated(pool)


def circuit_dark(**condition: object) -> dict[str, object]:
    """The default with other numbers."""
    whole = BookRule(load_group_rules()[DARK], SEVERAL).document()["condition"]
    assert isinstance(whole, dict)
    return {"key": DARK, "condition": {**whole, **condition}}


async def change(street: Coordinated, *written: dict[str, object]) -> None:
    """Write into the book, and let the worker and the coordinator hear of it."""
    read = [(read_rule(one, load_kinds()), Path("test.yaml")) for one in written]
    await apply_rules(street.pool, read, Author("test", "api"), street.clock.now())
    await follow(street)


async def follow(street: Coordinated) -> None:
    street.flows[0]._parts.known.forget()  # pyright: ignore[reportPrivateUsage]  # what a worker does when told of a change
    async with street.pool.acquire() as connection:
        await street.look.follow_book(connection, street.clock.now())


async def begin(street: Coordinated) -> None:
    """The coordinator takes note of the rules it begins with."""
    async with street.pool.acquire() as connection:
        await street.look.drop_other_rules(connection, street.clock.now())


async def go_dark(street: Coordinated, names: list[str]) -> None:
    """Each says twice that it does not burn: the minute in which it may strike again is over."""
    at = street.clock.time
    for minutes in (2, 1):
        await street.tell(*(told(name, at - timedelta(minutes=minutes), lamp_failure=True) for name in names))


async def test_a_changed_number_makes_two_lamps_an_incident_without_a_restart(street: Coordinated) -> None:
    await begin(street)
    await change(street, circuit_dark(at_least=2, share=0.3, clear_below=1))
    await go_dark(street, LAMPS[:2])
    await street.decide()
    assert await street.incidents() == [(DARK, "XH-01", "open", 2, 2)]
    assert [ticket[0] for ticket in await street.tickets()] == ["0137-98"]
    revision = await street.pool.fetchval(
        "SELECT r.body ->> 'condition' FROM alert a JOIN rule_revision r ON r.id = a.revision_id WHERE a.rule = $1",
        DARK,
    )
    assert orjson.loads(revision)["at_least"] == 2


@pytest.mark.parametrize("at_once", [1, 1000])
async def test_alerts_that_fire_already_are_decided_by_the_changed_rule(street: Coordinated, at_once: int) -> None:
    street.look = GroupLook(load_kinds(), KnownDevices(load_kinds()), Cases(ZONE), at_once)
    await begin(street)
    await go_dark(street, LAMPS[:2])
    await street.decide()
    assert await street.incidents() == []
    await change(street, circuit_dark(at_least=2, share=0.3, clear_below=1))
    assert await street.incidents() == [(DARK, "XH-01", "open", 2, 2)]
    assert [ticket[0] for ticket in await street.tickets()] == ["0137-98"]


async def test_an_open_incident_goes_on_under_a_changed_rule(street: Coordinated) -> None:
    await begin(street)
    await go_dark(street, LAMPS[:3])
    await street.decide()
    await change(street, circuit_dark(at_least=6, share=1.0, clear_below=1, clear_share=0.0))
    assert await street.incidents() == [(DARK, "XH-01", "open", 3, 3)]
    await street.tell(*(told(name, street.clock.time, lamp_failure=False) for name in LAMPS[:2]))
    await street.decide()
    assert await street.incidents() == [(DARK, "XH-01", "open", 3, 1)]


async def test_a_rule_switched_off_closes_its_incident_and_its_lamps_speak_for_themselves(street: Coordinated) -> None:
    await begin(street)
    await go_dark(street, LAMPS[:4])
    await street.decide()
    assert [ticket[:2] for ticket in await street.tickets()] == [("0137-98", "open")]
    await change(street, {"key": DARK, "enabled": False})
    await street.wait(seconds=1)
    assert await street.incidents() == [(DARK, "XH-01", "closed", 4, 4)]
    own = ("0137-3", "open")
    assert [ticket[:2] for ticket in await street.tickets()] == [("0137-98", "resolved"), *[own] * 4]
    await go_dark(street, LAMPS[4:])
    await street.decide()
    assert [ticket[:2] for ticket in await street.tickets()] == [("0137-98", "resolved"), *[own] * 6]


async def test_whoever_waits_for_a_rule_that_is_switched_off_waits_no_longer(street: Coordinated) -> None:
    await begin(street)
    await go_dark(street, LAMPS[:2])
    await street.decide()
    assert await street.tickets() == []
    await change(street, {"key": DARK, "enabled": False})
    await street.wait(seconds=1)
    assert [ticket[:2] for ticket in await street.tickets()] == [("0137-3", "open")] * 2


async def test_a_running_coordinator_follows_what_is_written_over_the_api(street: Coordinated) -> None:
    known, cases = KnownDevices(load_kinds()), Cases(ZONE)
    look = GroupLook(load_kinds(), known, cases)
    coordinator = Coordinator(street.pool, street.clock, look, BalanceLook(ZONE, known, cases), "worker-1")

    async def waiting() -> bool:
        return bool(await street.pool.fetchval("SELECT count(*) = 2 FROM group_alert"))

    def stands(state: str) -> Callable[[], Awaitable[bool]]:
        async def is_so() -> bool:
            return await street.incidents() == [(DARK, "XH-01", state, 2, 2)]

        return is_so

    running = asyncio.create_task(coordinator.run())
    try:
        async with client(street.pool, Role.ENGINEER) as http:
            await go_dark(street, LAMPS[:2])
            await until(waiting)
            two = {"rule": circuit_dark(at_least=2, share=0.3, clear_below=1)}
            written = await http.put(f"/v1/rules/{DARK}", json=two)
            assert (written.status_code, written.json()["kind"], written.json()["source"]) == (200, "group", "api")
            await until(stands("open"))
            await http.put(f"/v1/rules/{DARK}", json={"rule": {"key": DARK, "enabled": False}})
            await until(stands("closed"))
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_the_api_lists_restores_and_refuses_them_like_every_other_rule(pool: Any) -> None:
    changed = circuit_dark(at_least=2, clear_below=2)
    async with client(pool) as http:
        refused = await http.put(f"/v1/rules/{DARK}", json={"rule": circuit_dark(members=["manhole.steep"])})
        (error,) = refused.json()["errors"]
        assert (refused.status_code, error["field"]) == (422, "rule.condition.members.0")
        assert error["expected"].endswith("that judges single devices, not 'manhole.steep'")
        default = (await http.get(f"/v1/rules/{DARK}")).json()
        assert (await http.delete(f"/v1/rules/{DARK}")).status_code == 409
        written = (await http.put(f"/v1/rules/{DARK}", json={"rule": changed})).json()
        assert (written["rule"]["condition"]["clear_below"], written["default"]) == (2, default["default"])
        listed = {one["key"]: one for one in (await http.get("/v1/rules")).json()["items"]}
        assert (listed[DARK]["digest"], listed[DARK]["source"]) == (written["digest"], "api")
        assert {listed[key]["kind"] for key in load_group_rules()} == {"group"}
        await http.post(f"/v1/rules/{DARK}/restore", json={"digest": default["digest"]})
        assert (await http.get(f"/v1/rules/{DARK}")).json()["source"] == "default"
        history = (await http.get(f"/v1/rules/{DARK}/history")).json()["items"]
        assert [one["to_digest"] for one in history] == [None, written["digest"]]


async def test_a_zone_goes_by_a_balance_of_the_book_and_its_removal_is_seen_to_at_once(pool: Any) -> None:
    for name in ("GM-1", "GM-2"):
        await register(pool, name, kind="gas_meter")
    own = BookRule(load_group_rules()["gas_meter.zone_loss"], SEVERAL).document() | {"key": "north.loss"}
    zone = {"rule": "north.loss", "members": [{"device": "GM-1", "role": "in"}, {"device": "GM-2", "role": "out"}]}
    async with client(pool) as http:
        assert (await http.put("/v1/zones/north", json=zone)).status_code == 422
        assert (await http.put("/v1/rules/north.loss", json={"rule": own})).status_code == 200
        assert (await http.put("/v1/zones/north", json=zone)).status_code == 200
        await pool.execute("UPDATE zone SET look_at = 'infinity'")
        street = await coordinated(pool)
        await begin(street)
        assert (await http.delete("/v1/rules/north.loss")).status_code == 204
        await follow(street)
        assert await pool.fetchval("SELECT look_at FROM zone") == street.clock.now()


async def test_what_is_exported_is_applied_again_without_a_difference(street: Coordinated, tmp_path: Path) -> None:
    own = {**circuit_dark(by="grid", members=["streetlight.offline"]), "key": "park.dark", "kind": "group"}
    await change(
        street, {**own, "title": "Park dark", "title_zh": "公园停电"}, {"key": "site.silent", "enabled": False}
    )
    path = tmp_path / "all.yaml"
    path.write_text(write_rules(one.written for one in await rules_in_force(street.pool)), encoding="utf-8")
    keys = {one["key"] for one in yaml.safe_load(path.read_text(encoding="utf-8"))["rules"]}
    assert keys > {"park.dark", *load_group_rules()}
    before = {one.written.rule.key: one.digest for one in await rules_in_force(street.pool)}
    assert await apply_rules(street.pool, read_rule_files([path]), Author("test", "command"), NOW) == []
    assert {one.written.rule.key: one.digest for one in await rules_in_force(street.pool)} == before
