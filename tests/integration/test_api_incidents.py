"""Incidents over HTTP: the list, one with its alerts and their tickets, and what alerts and rules say of it."""

from datetime import timedelta
from typing import Any

from domain.role import Role
from tests.support.api import client
from tests.support.circuits import Coordinated, coordinated, register_street, told

LAMPS = [f"L-{number:02}" for number in range(6)]


async def go_dark(street: Coordinated, names: list[str]) -> None:
    for minutes in (2, 1):
        at = street.clock.time - timedelta(minutes=minutes)
        await street.tell(*(told(name, at, lamp_failure=True) for name in names))


async def dark_circuit(pool: Any) -> Coordinated:
    """One lamp had its ticket already when the others failed."""
    await register_street(pool, LAMPS, circuit="XH-01")
    street = await coordinated(pool)
    await go_dark(street, LAMPS[:1])
    await street.wait(minutes=11)
    await go_dark(street, LAMPS[1:])
    await street.decide()
    return street


async def test_an_incident_shows_its_alerts_and_what_became_of_their_tickets(pool: Any) -> None:
    street = await dark_circuit(pool)
    async with client(pool, Role.VIEWER, street.clock) as http:
        [shown] = (await http.get("/v1/incidents")).raise_for_status().json()["items"]
        assert (shown["rule"], shown["group"], shown["state"]) == ("streetlight.circuit_dark", "XH-01", "open")
        assert (shown["title"], shown["alerts"], shown["firing"], shown["size"]) == ("Circuit dark", 6, 6, 6)
        assert (shown["device"], shown["asset"], shown["kind"]) == ("L-00", "A-L-00", None)
        one = (await http.get(f"/v1/incidents/{shown['id']}")).raise_for_status().json()
        assert {key: one[key] for key in shown} == shown
        members = {member["device"]: member for member in one["members"]}
        assert members.keys() == set(LAMPS)
        assert (members["L-00"]["linked"], members["L-00"]["ticket_state"]) == (True, "open")
        assert all(members[name]["ticket"] is None and members[name]["muted"] for name in LAMPS[1:])
        ticket = (await http.get(f"/v1/tickets/{shown['ticket']}")).raise_for_status().json()
        assert (ticket["title"], ticket["title_zh"]) == ("Circuit dark: XH-01", "回路停电: XH-01")
        assert [alert["id"] for alert in ticket["alerts"]] == [shown["alert"]]
        alerts = (await http.get(f"/v1/alerts?incident={shown['id']}")).json()["items"]
        assert {alert["device"] for alert in alerts} == set(LAMPS)
        assert (await http.get("/v1/incidents?state=closed")).json()["items"] == []
        await street.tell(*(told(name, street.clock.time, lamp_failure=False) for name in LAMPS))
        await street.decide()
        [closed] = (await http.get("/v1/incidents?state=closed&group=XH-01")).json()["items"]
        assert (closed["firing"], closed["ticket_state"]) == (0, "resolved")
        assert closed["closed_at"] is not None


async def test_open_incidents_come_first_and_pages_follow_each_other(pool: Any) -> None:
    for number in range(3):
        await register_street(pool, [f"C{number}-{lamp}" for lamp in range(3)], circuit=f"XH-{number}")
    street = await coordinated(pool)
    for number in range(3):
        await go_dark(street, [f"C{number}-{lamp}" for lamp in range(3)])
        await street.decide()
    await street.tell(*(told(f"C2-{lamp}", street.clock.time, lamp_failure=False) for lamp in range(3)))
    await street.decide()
    async with client(pool, Role.VIEWER, street.clock) as http:
        seen: list[str] = []
        following: str | None = ""
        while following is not None:
            page: Any = (await http.get(f"/v1/incidents?limit=1{following}")).raise_for_status().json()
            seen += [item["group"] for item in page["items"]]
            following = page["next"] and f"&cursor={page['next']}"
        assert seen == ["XH-1", "XH-0", "XH-2"]
        assert (await http.get("/v1/incidents/99")).status_code == 404
        assert (await http.get("/v1/incidents?state=shut")).status_code == 422


async def test_group_rules_stand_among_the_rules_in_force(pool: Any) -> None:
    await coordinated(pool)
    async with client(pool, Role.VIEWER) as http:
        rules = {item["key"]: item for item in (await http.get("/v1/rules")).json()["items"]}
        one = (await http.get("/v1/rules/streetlight.circuit_dark")).raise_for_status().json()
    dark = rules["streetlight.circuit_dark"]
    assert (dark["kind"], dark["body"]["kind"], dark["body"]["condition"]["by"]) == ("group", "group", "circuit")
    assert dark["revision"] is not None
    assert {key: one[key] for key in dark} == dark
    assert rules["gas_meter.zone_loss"]["body"]["kind"] == "balance"
