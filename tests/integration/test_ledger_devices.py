"""The ledger per device and day agrees with everything else, and a usual message writes nothing into it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.instants import to_micros
from domain.role import Role
from ingest.delivery import Delivery
from tests.support.api import StillClock, client
from tests.support.books import checked, deviations
from tests.support.flow import ZONE, flow_on
from tests.support.publishing import body, topic
from tests.support.redriving import redrive
from tests.support.registered import register

MIDNIGHT = datetime(2026, 11, 22, 16, tzinfo=UTC)
"""Of the district: the 23rd begins."""
EVENING, MORNING = MIDNIGHT - timedelta(minutes=10), MIDNIGHT + timedelta(minutes=10)


def delivery(
    received_at: datetime, payload: bytes, *, device: str = "DC-1", again: bool = False, leaf: str = "telemetry"
) -> Delivery:
    return Delivery(topic(device, leaf=leaf), payload, received_at, 1, redelivered=again, generation=1)


def said(at: datetime, value: float = 1.0) -> bytes:
    return body(at, None, tilt_deg=value)


def history(*times: datetime) -> bytes:
    return b"[" + b",".join(said(at) for at in times) + b"]"


async def booked(pool: Any) -> list[tuple[Any, ...]]:
    """Day of November, device, accepted, quarantined, redelivered, contained, stored, duplicate, rejected."""
    rows = await pool.fetch(
        "SELECT extract(day FROM day)::int, coalesce((SELECT name FROM device WHERE id = device_id), '-'), "
        "sum(accepted)::int, sum(quarantined)::int, sum(redelivered)::int, sum(contained)::int, sum(stored)::int, "
        "sum(duplicate)::int, sum(rejected)::int FROM ledger_device_day GROUP BY day, device_id ORDER BY 1, 2"
    )
    return [tuple(row) for row in rows]


async def test_a_usual_message_writes_nothing_until_its_day_is_over(pool: Any) -> None:
    await register(pool, "DC-1")
    await register(pool, "DC-2")
    flow = await flow_on(pool)
    for n in range(3):
        at = EVENING + timedelta(seconds=n)
        await flow.settle([delivery(at, said(at)), delivery(at, said(at), device="DC-2")], n + 1)
    assert await booked(pool) == []
    assert await deviations(pool) == []
    await flow.settle([delivery(MORNING, said(MORNING))], 9)
    assert await booked(pool) == [(22, "DC-1", 3, 0, 0, 3, 3, 0, 0)]
    assert await deviations(pool) == []
    async with client(pool, Role.AUDITOR, StillClock(MORNING)) as http:
        today = (await http.get("/v1/ledger/devices")).raise_for_status().json()["items"]
        assert [(one["device"], one["day"], one["readings"]["stored"]) for one in today] == [("DC-1", "2026-11-23", 1)]
        before = (await http.get("/v1/ledger/devices?day=2026-11-22&limit=1")).json()
        rest = (
            await http.get("/v1/ledger/devices", params={"day": "2026-11-22", "limit": 1, "cursor": before["next"]})
        ).json()
        assert [one["device"] for one in before["items"] + rest["items"]] == ["DC-2", "DC-1"]
        assert all(one["deliveries"]["accepted"] == 3 for one in before["items"] + rest["items"])
        both = (await http.get("/v1/ledger/devices?device=DC-1")).json()["items"]
        assert [(one["day"], one["readings"]["stored"]) for one in both] == [("2026-11-23", 1), ("2026-11-22", 3)]
        assert (await http.get("/v1/ledger/devices?device=none")).status_code == 404


async def test_a_batch_over_midnight_and_a_receipt_of_the_day_before_are_of_their_own_days(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    await flow.settle([delivery(EVENING, said(EVENING)), delivery(MORNING, said(MORNING))], 1)
    assert [row[:3] for row in await booked(pool)] == [(22, "DC-1", 1)]
    late = EVENING + timedelta(seconds=1)
    await flow.settle([delivery(late, said(late, 2.0))], 2)
    assert [row[:3] for row in await booked(pool)] == [(22, "DC-1", 2)]
    assert await deviations(pool) == []


async def test_everything_unusual_is_entered_at_once_and_agrees_with_the_minutes(pool: Any) -> None:
    await register(pool, "DC-1", aliases={"senml": "one"})
    await register(pool, "DC-2", aliases={"senml": "two"})
    flow = await flow_on(pool, clock=StillClock(EVENING))
    at, seconds = EVENING, to_micros(EVENING) / 1e6
    pack = (
        f'[{{"bn": "one:", "bt": {seconds}, "n": "tilt_deg", "v": 7}}, {{"bn": "two:", "n": "tilt_deg", "v": 2}},'
        ' {"bn": "lost:", "n": "tilt_deg", "v": 4}]'
    ).encode()
    await flow.settle(
        [
            delivery(at, said(at)),
            delivery(at, said(at)),
            delivery(at, history(at - timedelta(seconds=1), at - timedelta(seconds=2), at + timedelta(days=9))),
            delivery(at, said(at + timedelta(days=9))),
            delivery(at, said(at), device="DC-404"),
            delivery(at, b"{}", leaf="command"),
            delivery(at, b'{"class": "door_opened"}', leaf="event"),
            delivery(at, b"online", leaf="status"),
            Delivery("senml/1", pack, at, 1, redelivered=False, generation=1),
        ],
        1,
        2,
    )
    again = at + timedelta(seconds=30)
    await flow.settle(
        [delivery(again, said(at), again=True), delivery(again, said(at + timedelta(days=9)), again=True)], 2
    )
    assert await booked(pool) == [
        (22, "-", 0, 1, 2, 1, 0, 0, 1),
        (22, "DC-1", 5, 1, 2, 5, 3, 1, 1),  # and one usual message, which its state tells
        (22, "DC-2", 0, 0, 0, 1, 1, 0, 0),
    ]
    assert await deviations(pool) == []
    assert {each.check: each.compared for each in await checked(pool)}["readings"] == 2


async def test_a_redrive_moves_between_accounts_of_the_day_of_receipt(pool: Any) -> None:
    flow = await flow_on(pool)
    await flow.settle(
        [delivery(EVENING, said(EVENING)), delivery(EVENING, history(EVENING, MORNING), device="DC-2")], 1
    )
    await register(pool, "DC-1")
    await flow.settle([delivery(MORNING, said(MORNING, 2.0))], 2)
    assert await deviations(pool) == []
    await redrive(pool, flow, reason="unknown_device")
    assert await deviations(pool) == []
    assert await booked(pool) == [(22, "-", 0, 1, 0, 0, 0, 0, 0), (22, "DC-1", 1, 0, 0, 1, 1, 0, 0)]
    await register(pool, "DC-2")
    await redrive(pool, flow, source="native")
    assert await deviations(pool) == []
    # Of its history one entry lay in the future when it was received, and was clamped or rejected by the same bounds.
    assert (await booked(pool))[-1][1] == "DC-2"
    total = await pool.fetchrow(
        "SELECT sum(accepted + quarantined + ignored + redelivered)::int, sum(quarantined)::int FROM ledger_minute"
    )
    assert tuple(total) == (3, 0)


@pytest.mark.parametrize(
    ("spoil", "check", "words"),
    [
        ("UPDATE ledger_minute SET stored = stored + 1", "minutes", "contained 3"),
        ("UPDATE ledger_minute SET stored = stored + 1, contained = contained + 1", "days", "stored 4 by minutes"),
        ("UPDATE ledger_device_day SET rejected = 1", "devices", "DC-1"),
        ("UPDATE device_state SET readings = readings + 1", "readings", "2 rows are there"),
        ("UPDATE device_state SET readings_noted = readings_noted - 1", "states", "DC-1"),
        ("DELETE FROM reading WHERE at = (SELECT min(at) FROM reading)", "readings", "1 rows are there"),
        ("UPDATE ledger_minute SET quarantined = 0", "held", "1 lie in quarantine"),
    ],
)
async def test_the_check_finds_a_deviation_made_on_purpose(pool: Any, spoil: str, check: str, words: str) -> None:
    await register(pool, "DC-1")
    await register(pool, "DC-2")
    flow = await flow_on(pool)
    await flow.settle(
        [
            delivery(EVENING, history(EVENING, EVENING - timedelta(seconds=1))),
            delivery(EVENING, said(EVENING), device="DC-2"),
            delivery(EVENING, b"{"),
        ],
        1,
    )
    assert await deviations(pool) == []
    await pool.execute(f"{spoil} {'' if 'WHERE' in spoil or 'minute' in spoil else _OF_THE_FIRST}")
    found = {each.check: each for each in await checked(pool)}
    assert found[check].deviating == 1
    assert any(words in sentence for sentence in found[check].sentences), found[check].sentences
    async with client(pool, Role.AUDITOR, StillClock(MORNING)) as http:
        answer = (await http.get("/v1/ledger/check?from=2026-11-20&to=2026-11-23")).raise_for_status().json()
        assert answer["balanced"] is (check == "readings" and "reading WHERE" in spoil)
        assert (await http.get("/v1/ledger/check?from=2026-11-23&to=2026-11-20")).status_code == 422
    assert ZONE.key == "Asia/Shanghai"


_OF_THE_FIRST = "WHERE device_id = (SELECT min(id) FROM device)"
