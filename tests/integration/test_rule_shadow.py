"""A rule in shadow is judged and counted, and raises nothing that anybody sees; what it knows is its own."""

from typing import Any

import pytest

from domain.role import Role
from store.shadow_alerts import count_shadow_alerts, list_shadow_alerts
from tests.support.api import client
from tests.support.ruled import START, RuledStreet, steep


@pytest.fixture
async def street(pool: Any) -> RuledStreet:
    return await RuledStreet(pool).open()


async def shadows(street: RuledStreet, rule: str = "manhole.steep") -> list[tuple[float, float, bool, str]]:
    """(onset, fired at, fires, standing) of what a rule in shadow came to."""
    rows = await list_shadow_alerts(street.pool, rule, after=None, limit=100)
    return [
        ((r.onset - START).total_seconds(), (r.fired_at - START).total_seconds(), r.cleared_at is None, r.standing)
        for r in reversed(rows)
    ]


async def shown(street: RuledStreet) -> list[int]:
    tables = ("alert", "alert_event", "ticket", "ticket_move", "outbox")
    return [await street.pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


async def test_it_is_judged_with_its_hold_and_clears_and_nothing_of_it_is_shown(street: RuledStreet) -> None:
    await street.change(steep(limit=12, shadow=True))
    await street.deliver(0, tilt_deg=13.0)
    await street.tick(29)
    assert await shadows(street) == []
    await street.tick(31)
    assert await shadows(street) == [(0, 30, True, "upheld")]
    await street.deliver(60, tilt_deg=2.0)
    await street.deliver(70, tilt_deg=14.0)
    await street.tick(101)
    assert await shadows(street) == [(0, 30, False, "upheld"), (70, 100, True, "upheld")]
    assert tuple(await count_shadow_alerts(street.pool, "manhole.steep")) == (2, 1, 1)
    assert await shown(street) == [0] * 5
    async with client(street.pool, Role.VIEWER) as http:
        assert (await http.get("/v1/alerts?state=all")).json()["items"] == []


async def test_it_names_the_reading_with_both_times_the_value_and_the_revision(street: RuledStreet) -> None:
    await street.change(steep(limit=12, shadow=True))
    street.clock.time = START.replace(minute=5)
    await street.deliver(0, tilt_deg=13.0)
    await street.tick(300)
    (row,) = await list_shadow_alerts(street.pool, "manhole.steep", after=None, limit=10)
    assert (row.measure, row.value, row.reading_at, row.received_at) == (
        "tilt_deg",
        b"13.0",
        START,
        START.replace(minute=5),
    )
    assert row.revision == await street.pool.fetchval("SELECT digest FROM rule")


async def test_it_takes_nothing_away_from_the_default_beside_it(street: RuledStreet) -> None:
    condition = {"measure": "tilt_deg", "levels": [{"severity": "critical", "limit": 18}]}
    await street.change({"key": "manhole.tilt", "shadow": True, "condition": condition})
    await street.deliver(0, tilt_deg=20.0)
    await street.tick(31)
    assert await street.alerts() == [("manhole.tilt", 0, 30, "firing")]
    assert await shadows(street, "manhole.tilt") == [(0, 0, True, "upheld")]


async def test_when_it_leaves_shadow_its_trial_clears_and_the_rule_fires_properly(street: RuledStreet) -> None:
    await street.change(steep(shadow=True))
    await street.deliver(0, tilt_deg=40.0)
    await street.tick(31)
    await street.change(steep(), {"key": "manhole.tilt", "enabled": False})
    await street.tick(40)
    assert await shadows(street) == [(0, 30, False, "upheld")]
    assert await street.alerts("manhole.steep") == []
    await street.deliver(50, tilt_deg=41.0)
    await street.tick(81)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 50, 80, "firing")]


async def test_a_rule_that_goes_into_shadow_clears_what_it_had_raised(street: RuledStreet) -> None:
    await street.change(steep())
    await street.deliver(0, tilt_deg=40.0)
    await street.tick(31)
    await street.change(steep(shadow=True))
    await street.tick(40)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 0, 30, "cleared")]
    await street.deliver(50, tilt_deg=41.0)
    await street.tick(81)
    assert await shadows(street) == [(50, 80, True, "upheld")]


async def test_late_readings_find_contradict_and_correct_it_as_any_other(street: RuledStreet) -> None:
    await street.change(steep(limit=12, shadow=True))
    await street.deliver(0, tilt_deg=1.0)
    await street.deliver(600, tilt_deg=13.0)
    await street.tick(631)
    assert await shadows(street) == [(600, 630, True, "upheld")]
    await street.deliver(610, tilt_deg=1.0)
    assert await shadows(street) == [(600, 630, False, "contradicted")]
    await street.deliver(100, tilt_deg=13.0)
    await street.deliver(140, tilt_deg=13.0)
    await street.deliver(200, tilt_deg=1.0)
    assert (await shadows(street))[0] == (600, 630, False, "contradicted")
    assert min(await shadows(street)) == (100, 130, False, "upheld")
    late = await list_shadow_alerts(street.pool, "manhole.steep", after=None, limit=1)
    assert late[0].retrospective
    assert await shown(street) == [0] * 5


async def test_a_silence_may_be_tried_in_shadow(street: RuledStreet) -> None:
    await street.deliver(0, tilt_deg=1.0)
    await street.tick(1)
    await street.change(
        {"key": "manhole.offline", "shadow": True, "condition": {"intervals": 0.1, "severity": "major"}}
    )
    await street.tick(61)
    assert await shadows(street, "manhole.offline") == [(60, 60, True, "upheld")]
    await street.deliver(90, tilt_deg=1.0)
    assert await shadows(street, "manhole.offline") == [(60, 60, False, "upheld")]
    assert await shown(street) == [0] * 5


async def test_an_override_of_the_device_holds_for_the_trial_too_and_never_for_one_it_does_not_fit(
    street: RuledStreet,
) -> None:
    await street.pool.execute("""UPDATE device SET overrides = '{"manhole.tilt": {"major": {"limit": 30}}}'""")
    condition = {"measure": "tilt_deg", "levels": [{"severity": "critical", "limit": 25}]}
    await street.change({"key": "manhole.tilt", "shadow": True, "condition": condition})
    await street.deliver(0, tilt_deg=28.0)
    await street.tick(31)
    # The default still departs for this device, though the trial has no such level.
    assert await street.alerts() == []
    assert await shadows(street, "manhole.tilt") == [(0, 0, True, "upheld")]
