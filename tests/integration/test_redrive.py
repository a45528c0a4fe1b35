"""What was set aside is settled again once its cause is gone, exactly as if it had not been; the accounts are moved."""

from datetime import timedelta
from typing import Any

import pytest

import store.quarantine
from domain.instants import to_micros
from ingest.delivery import Delivery
from service.flow import Flow
from store.connection import Executor
from store.redrive import ask_redrive, claim_receipts, find_redrive
from tests.support.flow import flow_on
from tests.support.publishing import balance, body, topic
from tests.support.redriving import NOW, delivery, redrive, redriver_of
from tests.support.registered import register


async def minutes(pool: Any) -> dict[int, tuple[int, ...]]:
    """Minute after NOW's → accepted, quarantined, contained, stored, duplicate, rejected."""
    rows = await pool.fetch(
        "SELECT minute, sum(accepted)::int, sum(quarantined)::int, sum(contained)::int, sum(stored)::int, "
        "sum(duplicate)::int, sum(rejected)::int FROM ledger_minute GROUP BY minute"
    )
    start = NOW
    return {int((row[0] - start).total_seconds() // 60): tuple(row)[1:] for row in rows}


async def present(pool: Any) -> list[Any]:
    """All that a reading leaves behind, but for what tells how it came to be known."""
    queries = (
        "SELECT at, digest, received_at, measures, flags, seq FROM reading ORDER BY 1, 2",
        "SELECT last_at, last_digest, heard_at, measures, tracks, readings FROM device_state ORDER BY device_id",
        "SELECT rule, onset, severity, peak, state, fired_at, cleared_at FROM alert ORDER BY 1, 2",
        "SELECT class, at, digest, received_at FROM device_event ORDER BY 2, 3",
    )
    return [[tuple(row) for row in await pool.fetch(query)] for query in queries]


async def test_what_an_unknown_device_sent_is_settled_as_if_it_had_been_known(pool: Any) -> None:
    messages = [
        delivery(body(NOW - timedelta(seconds=40), 1, tilt_deg=40.0), 0),
        delivery(body(None, 2, tilt_deg=41.0), 61),
        delivery(body(NOW + timedelta(seconds=100), 3, tilt_deg=42.0), 122),
        Delivery(topic("DC-1", leaf="event"), b'{"class": "door_opened"}', NOW, 1, redelivered=False, generation=1),
    ]
    flow = await flow_on(pool)
    await flow.settle(messages, 1)
    assert {key: row[1] for key, row in (await minutes(pool)).items()} == {0: 2, 1: 1, 2: 1}
    await register(pool, "DC-1")
    done = await redrive(pool, flow, reason="unknown_device")
    assert (done.wanted, done.counts.taken, done.counts.accepted, done.counts.stored) == (4, 4, 4, 3)
    got = await present(pool)
    assert await pool.fetchval("SELECT count(*) FROM quarantine_receipt") == 0
    assert {tuple(row) for row in await pool.fetch("SELECT state, held, count FROM quarantine")} == {("redriven", 0, 1)}
    counts = await balance(pool)
    assert (counts["accepted"], counts["quarantined"], counts["contained"], counts["stored"]) == (4, 0, 3, 3)
    assert all(row[0] >= 0 and row[1] == 0 for row in (await minutes(pool)).values())
    # The same messages, had the device been known from the beginning.
    await pool.execute(
        "TRUNCATE reading, device_state, alert, alert_event, alert_mute, group_alert, incident, device_event, "
        "device_timer"
    )
    await pool.execute("INSERT INTO device_state (device_id) SELECT id FROM device")
    await (await flow_on(pool, "other")).settle(messages, 1)
    assert await present(pool) == got
    assert got[2], "the cover's tilt must have raised its alert"


async def test_a_timeless_message_that_came_often_becomes_as_many_readings(pool: Any) -> None:
    flow = await flow_on(pool)
    same = body(None, None, tilt_deg=1.0)
    await flow.settle([delivery(same, n) for n in range(5)], 1)
    await flow.settle([delivery(same, 5)], 2)
    held = await pool.fetchrow("SELECT id, count, held, first_seen, last_seen FROM quarantine")
    assert tuple(held)[1:] == (6, 6, NOW, NOW + timedelta(seconds=5))
    await register(pool, "DC-1")
    done = await redrive(pool, flow, quarantine_id=held["id"])
    assert (done.counts.stored, done.counts.duplicate) == (6, 0)
    times = await pool.fetch("SELECT at, received_at FROM reading ORDER BY at")
    assert [tuple(row) for row in times] == [(NOW + timedelta(seconds=n),) * 2 for n in range(6)]


async def test_a_redelivery_that_lies_there_already_is_no_second_receipt(pool: Any) -> None:
    flow = await flow_on(pool)
    same = body(NOW, 1, tilt_deg=1.0)
    await flow.settle([delivery(same), delivery(same, again=True)], 1)
    await flow.settle([delivery(same, 3, again=True)], 2)
    assert await pool.fetchval("SELECT count(*) FROM quarantine_receipt") == 1
    counts = await balance(pool)
    assert (counts["quarantined"], counts["redelivered"]) == (1, 2)


async def test_by_source_only_that_sources_messages_are_taken(pool: Any) -> None:
    flow = await flow_on(pool)
    pack = b'[{"bn": "urn:dev:mac:1:", "n": "tilt_deg", "v": 3, "t": -5}]'
    senml = Delivery("senml/1", pack, NOW, 1, redelivered=False, generation=1)
    await flow.settle([senml, delivery(body(NOW, 1, tilt_deg=1.0))], 1)
    await register(pool, "DC-1", aliases={"senml": "urn:dev:mac:1"})
    done = await redrive(pool, flow, source="senml")
    assert (done.wanted, done.counts.stored) == (1, 1)
    # Its time is relative to its receipt: that of the first.
    assert await pool.fetchval("SELECT at FROM reading") == NOW - timedelta(seconds=5)
    assert await pool.fetchval("SELECT source FROM quarantine WHERE state = 'held'") == "native"


async def test_what_fails_again_goes_back_under_its_new_reason(pool: Any) -> None:
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW, 1, colour=3)), delivery(b"{", 70)], 1)
    await register(pool, "DC-1")
    done = await redrive(pool, flow, source="native")
    assert (done.counts.taken, done.counts.held_again, done.counts.accepted) == (2, 2, 0)
    rows = await pool.fetch("SELECT reason, state, held, count FROM quarantine ORDER BY reason")
    assert [tuple(row) for row in rows] == [
        ("no_known_measure", "held", 1, 1),
        ("not_json", "held", 1, 1),
        ("unknown_device", "redriven", 0, 1),
    ]
    receipts = await pool.fetch("SELECT received_at FROM quarantine_receipt ORDER BY 1")
    assert [row[0] for row in receipts] == [NOW, NOW + timedelta(seconds=70)]
    assert (await balance(pool))["quarantined"] == 2


async def test_of_a_partly_rejected_history_only_the_rejected_readings_are_settled_again(pool: Any) -> None:
    known = await register(pool, "DC-1", aliases={"senml": "known"})
    flow = await flow_on(pool)
    at = to_micros(NOW) / 1e6
    pack = (
        f'[{{"bn": "known:", "bt": {at}, "n": "tilt_deg", "v": 1}}, {{"bn": "new:", "n": "tilt_deg", "v": 2}},'
        f' {{"bn": "known:", "n": "tilt_deg", "v": 3, "t": -9}}, {{"bn": "lost:", "n": "tilt_deg", "v": 4}}]'
    ).encode()
    await flow.settle([Delivery("senml/1", pack, NOW, 1, redelivered=False, generation=1)], 1)
    counts = await balance(pool)
    assert (counts["accepted"], counts["contained"], counts["stored"], counts["rejected"]) == (1, 4, 2, 2)
    new = await register(pool, "DC-2", aliases={"senml": "new"})
    done = await redrive(pool, flow, reason="unknown_device")
    assert (done.counts.stored, done.counts.duplicate, done.counts.rejected) == (1, 0, 1)
    counts = await balance(pool)
    assert (counts["accepted"], counts["quarantined"], counts["contained"]) == (1, 0, 4)
    assert (counts["stored"], counts["duplicate"], counts["rejected"]) == (3, 0, 1)
    held = await pool.fetchrow("SELECT state, held, count FROM quarantine")
    assert tuple(held) == ("held", 1, 1)
    await register(pool, "DC-3", aliases={"senml": "lost"})
    await redrive(pool, flow, reason="unknown_device")
    counts = await balance(pool)
    assert (counts["contained"], counts["stored"], counts["duplicate"], counts["rejected"]) == (4, 4, 0, 0)
    assert await pool.fetchval("SELECT state FROM quarantine") == "redriven"
    stored = await pool.fetch("SELECT device_id, count(*)::int FROM reading GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in stored][:2] == [(known, 2), (new, 1)]


async def test_a_message_that_was_not_kept_whole_cannot_be_settled_again_and_the_job_says_so(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW, 1, tilt_deg=1.0, note="x" * 70_000))], 1)
    done = await redrive(pool, flow, reason="too_large")
    assert (done.wanted, done.not_whole, done.counts.taken) == (0, 1, 0)
    assert await pool.fetchval("SELECT held FROM quarantine") == 1


async def test_receipts_beyond_the_bound_are_counted_and_told(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.quarantine, "MOST_RECEIPTS", 3)
    flow = await flow_on(pool)
    await flow.settle([delivery(body(None, 1, tilt_deg=1.0), n) for n in range(5)], 1)
    await flow.settle([delivery(body(None, 1, tilt_deg=1.0), 5)], 2)
    assert tuple(await pool.fetchrow("SELECT count, held, unkept FROM quarantine")) == (6, 6, 3)
    await register(pool, "DC-1")
    done = await redrive(pool, flow, reason="unknown_device")
    assert (done.counts.stored, done.without_time) == (3, 3)
    assert tuple(await pool.fetchrow("SELECT state, held, unkept FROM quarantine")) == ("held", 3, 3)
    assert (await balance(pool))["quarantined"] == 3


async def test_a_crash_in_the_middle_changes_nothing_and_the_next_worker_takes_it_up(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW - timedelta(seconds=9 - n), n, tilt_deg=1.0), n) for n in range(4)], 1)
    await register(pool, "DC-1")
    asked = await ask_redrive(pool, quarantine_id=None, reason="unknown_device", source=None, by="t", now=NOW)
    before = [await everything(pool), await present(pool)]

    async def crash(*_: Any) -> None:
        raise ConnectionResetError("the process was killed")

    with monkeypatch.context() as broken:
        broken.setattr("service.redrive.progress", crash)
        with pytest.raises(ConnectionResetError):
            await redriver_of(flow).look()
    assert [await everything(pool), await present(pool)] == before
    other = redriver_of(await flow_on(pool, "worker-2"))
    while await other.look():
        pass
    done = await find_redrive(pool, asked.id)
    assert done is not None
    assert (done.state, done.counts.stored) == ("done", 4)
    assert (await balance(pool))["stored"] == 4


async def test_two_workers_at_one_job_do_each_receipt_once(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.redrive._AT_ONCE", 2)
    flows: list[Flow] = [await flow_on(pool), await flow_on(pool, "worker-2")]
    await flows[0].settle([delivery(body(None, n, tilt_deg=1.0), n) for n in range(10)], 1)
    await register(pool, "DC-1")
    asked = await ask_redrive(pool, quarantine_id=None, reason="unknown_device", source=None, by="t", now=NOW)
    drivers = [redriver_of(flow) for flow in flows]
    claim = claim_receipts

    async def claim_after_the_other(connection: Executor, job: Any, receipts: Any) -> bool:
        """Between choosing its receipts and taking them, the other does them."""
        monkeypatch.setattr("service.redrive.claim_receipts", claim)
        await drivers[1].look()
        return await claim(connection, job, receipts)

    monkeypatch.setattr("service.redrive.claim_receipts", claim_after_the_other)
    assert not await drivers[0].look()
    while await drivers[0].look():
        pass
    done = await find_redrive(pool, asked.id)
    assert done is not None
    assert (done.counts.taken, done.counts.stored) == (10, 10)
    assert (await balance(pool))["stored"] == await pool.fetchval("SELECT count(*) FROM reading") == 10


async def test_what_the_database_refuses_goes_back_and_the_others_are_settled(pool: Any) -> None:
    flow = await flow_on(pool)
    good = [delivery(body(NOW + timedelta(seconds=n), n, tilt_deg=1.0), n) for n in (1, 3)]
    await flow.settle([*good, delivery(body(NOW + timedelta(seconds=2), 2, tilt_deg=1.0, note="a\0b"), 2)], 1)
    await register(pool, "DC-1")
    done = await redrive(pool, flow, source="native")
    assert (done.counts.taken, done.counts.accepted, done.counts.held_again) == (3, 2, 1)
    assert await pool.fetchval("SELECT reason FROM quarantine WHERE state = 'held'") == "refused_by_database"


async def everything(pool: Any) -> list[Any]:
    queries = (
        "SELECT id, state, held, count FROM quarantine ORDER BY id",
        "SELECT id, received_at FROM quarantine_receipt ORDER BY id",
        "SELECT minute, worker, accepted, quarantined, stored FROM ledger_minute ORDER BY 1, 2",
        "SELECT * FROM ledger_device_day ORDER BY 1, 2, 3",
        "SELECT id, state, taken, after_receipt FROM redrive",
    )
    return [[tuple(row) for row in await pool.fetch(query)] for query in queries]
