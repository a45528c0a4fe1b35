"""What is delivered again changes nothing: replays, first received times, lost answers to COMMIT, cut connections."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from domain.instants import to_micros
from ingest.delivery import Delivery
from service.cases import Cases
from service.known import KnownDevices
from service.ticker import Ticker
from tests.support.brokers import Broker
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.ingest import ingesting
from tests.support.publishing import balance, body, publish, settled, topic, until
from tests.support.registered import register

NOW = datetime.now(UTC).replace(microsecond=0)


def delivery(payload: bytes, packet: int, *, again: bool = False, at: datetime = NOW, device: str = "DC-1") -> Delivery:
    return Delivery(topic(device), payload, at, packet, redelivered=again, generation=1)


async def test_a_batch_settled_again_after_a_crash_changes_nothing(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    open_and_shut = [
        delivery(body(NOW - timedelta(seconds=60), 1, lid_open=True), 1),
        delivery(body(NOW - timedelta(seconds=30), 2, lid_open=True), 2),
        delivery(b"{", 3),
        delivery(b"{}", 4, device="DC-1"),
    ]
    await flow.settle(open_and_shut, 1)
    before = await everything(pool)
    crashed = await flow_on(pool)
    replay = [delivery(one.payload, one.packet_id, again=True) for one in open_and_shut]
    await crashed.settle(replay, 2)
    assert await everything(pool) == before
    counts = await balance(pool)
    assert (counts["accepted"], counts["quarantined"], counts["redelivered"]) == (2, 2, 4)
    assert counts["contained"] == counts["stored"] == 2
    assert [row[0] for row in await pool.fetch("SELECT count FROM quarantine")] == [1, 1]


async def test_a_redelivery_of_what_was_never_committed_is_a_first(pool: Any) -> None:
    await register(pool, "DC-1")
    await (await flow_on(pool)).settle([delivery(body(NOW, 1, tilt_deg=1.0), 1, again=True)], 1)
    counts = await balance(pool)
    assert (counts["accepted"], counts["redelivered"], counts["stored"]) == (1, 0, 1)


async def test_a_message_without_a_time_keeps_the_first_time_it_was_received(pool: Any) -> None:
    await register(pool, "DC-1")
    timeless = body(None, 1, tilt_deg=3.0)
    await (await flow_on(pool)).settle([delivery(timeless, 7)], 1)
    later = NOW + timedelta(seconds=40)
    await (await flow_on(pool)).settle([delivery(timeless, 7, again=True, at=later)], 2)
    rows = await pool.fetch("SELECT at, flags FROM reading")
    assert [row["at"] for row in rows] == [NOW]
    assert b"no_time" in rows[0]["flags"]
    # The packet id means another message now: not a redelivery of the first, whatever the flag says.
    await (await flow_on(pool)).settle([delivery(body(None, 2, tilt_deg=4.0), 7, again=True, at=later)], 3)
    assert {row[0] for row in await pool.fetch("SELECT at FROM reading")} == {NOW, later}


async def test_a_commit_whose_answer_was_lost_is_not_settled_again(
    pool: Any, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after COMMIT and before its answer: the token tells that it happened."""
    await register(pool, "DC-1")
    async with ingesting(pool, mosquitto.url) as ingest:
        flow = ingest.worker._flow  # pyright: ignore[reportPrivateUsage]  # where the answer is lost
        settle = flow.settle
        lost: list[int] = []

        async def commit_then_lose(batch: Any, token: int, again: int = 0, *, retry: bool = False) -> None:
            await settle(batch, token, again, retry=retry)
            if not lost and any(b"tilt" in one.payload for one in batch):
                lost.append(token)
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

        monkeypatch.setattr(flow, "settle", commit_then_lose)
        await publish(mosquitto, (topic("DC-1"), body(NOW, 1, tilt_deg=1.0)))
        await until(lambda: settled(pool, 1))
        await publish(mosquitto, (topic("DC-1"), body(NOW + timedelta(seconds=1), 2, tilt_deg=1.0)))
        await until(lambda: settled(pool, 2))
    assert len(lost) == 1
    counts = await balance(pool)
    assert (counts["accepted"], counts["stored"], counts["duplicate"]) == (2, 2, 0)


async def test_connections_cut_by_the_server_lose_and_double_nothing(pool: Any, embedded_broker: Broker) -> None:
    await register(pool, "DC-1")
    start = datetime.now(UTC) - timedelta(seconds=200)
    async with ingesting(pool, embedded_broker.url):
        watcher = await asyncpg.connect(*pool._connect_args, **pool._connect_kwargs)
        for turn in range(10):
            burst = [
                (topic("DC-1"), body(start + timedelta(seconds=turn * 20 + n * 0.1), turn * 100 + n, tilt_deg=1.0))
                for n in range(100)
            ]
            sending = asyncio.create_task(publish(embedded_broker, *burst))
            await asyncio.sleep(0.01 * turn)
            await watcher.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            await sending
        await until(lambda: watcher.fetchval("SELECT count(*) >= 1000 FROM reading"), 30)
        await watcher.close()
    counts = await balance(pool)
    assert counts["accepted"] == counts["stored"] == 1000
    assert await pool.fetchval("SELECT count(DISTINCT seq) FROM reading") == 1000


async def test_a_broker_that_was_away_silences_nobody(pool: Any) -> None:
    """Ten devices, due every 10 s; nothing is heard for an hour because we were deaf; then one stays silent alone."""
    for number in range(10):
        await register(pool, f"DC-{number}", interval_s=10.0)
    flow = await flow_on(pool, heartbeats={"beat/native": "native"})
    kinds = load_kinds()
    cases = Cases(ZONE)
    await cases.start(pool, [rule for kind in kinds.values() for rule in kind.rules], NOW)
    ticker = Ticker(pool, KnownDevices(kinds), cases, LATE_BOUND)
    tokens = iter(range(1, 1000))

    async def at(second: int, devices: range) -> None:
        now = NOW + timedelta(seconds=second)
        beat = Delivery("beat/native", str(to_micros(now)).encode(), now, 0, redelivered=False, generation=1)
        heard = [delivery(body(now, second, tilt_deg=1.0), n + 1, at=now, device=f"DC-{n}") for n in devices]
        await flow.settle([*heard, beat], next(tokens))
        await ticker.look(now, flow.coverage)

    await at(0, range(10))
    await at(10, range(10))
    await at(3600, range(0))  # the broker is back, the devices have not reported yet
    assert await pool.fetchval("SELECT count(*) FROM alert") == 0
    assert await pool.fetchval("SELECT count(*) FROM outage WHERE source = 'native'") == 1
    for second in range(3610, 3660, 10):
        await at(second, range(9))
    alerts = await pool.fetch("SELECT d.name, a.rule, a.onset FROM alert a JOIN device d ON d.id = a.device_id")
    assert [tuple(row) for row in alerts] == [("DC-9", "manhole.offline", NOW + timedelta(seconds=3630))]
    await at(3660, range(10))
    assert await pool.fetchval("SELECT state FROM alert") == "cleared"
    assert await pool.fetchval("SELECT sort FROM ticket WHERE state = 'resolved'") == "maintenance"


async def everything(pool: Any) -> list[Any]:
    """All that decisions consist of; not the ledger, which counts deliveries."""
    queries = (
        "SELECT device_id, at, digest, measures FROM reading ORDER BY 1, 2, 3",
        "SELECT device_id, last_at, measures, tracks, readings FROM device_state ORDER BY 1",
        "SELECT device_id, rule, onset, severity, state, ticket_id FROM alert ORDER BY 1, 2, 3",
        "SELECT count(*) FROM alert_event",
        "SELECT number, state, firing, alerts FROM ticket ORDER BY 1",
        "SELECT identity, reason, count FROM quarantine ORDER BY 1, 2",
    )
    return [[tuple(row) for row in await pool.fetch(query)] for query in queries]


async def test_a_device_taken_out_is_not_missed_and_missed_again_when_it_is_back(pool: Any) -> None:
    await register(pool, "DC-1", interval_s=10.0)
    flow = await flow_on(pool, heartbeats={"beat/native": "native"})
    cases = Cases(ZONE)
    await cases.start(pool, [rule for kind in load_kinds().values() for rule in kind.rules], NOW)
    known = KnownDevices(load_kinds())
    ticker = Ticker(pool, known, cases, LATE_BOUND)
    await flow.settle([delivery(body(NOW, 1, tilt_deg=1.0), 1)], 1)

    async def look(second: int) -> int:
        now = NOW + timedelta(seconds=second)
        flow.coverage = {"native": Coverage(NOW, now)}
        await ticker.look(now, flow.coverage)
        return int(await pool.fetchval("SELECT count(*) FROM alert"))

    await pool.execute("UPDATE device SET life_cycle = 'suspended'")
    assert await look(60) == 0
    await pool.execute("UPDATE device SET life_cycle = 'in_service'")
    assert await look(80) == 1


async def test_a_rule_that_is_gone_clears_its_alert_and_frees_its_ticket(pool: Any) -> None:
    await register(pool, "DC-1")
    await (await flow_on(pool)).settle([delivery(body(NOW, 1, ch4_pct_lel=80.0), 1)], 1)
    assert await pool.fetchval("SELECT state FROM ticket") == "open"
    upgraded = await flow_on(pool)
    kinds = load_kinds()
    rules = tuple(rule for rule in kinds["manhole"].rules if rule.key != "manhole.methane")
    upgraded._parts.known._kinds = {**kinds, "manhole": replace(kinds["manhole"], rules=rules)}  # pyright: ignore[reportPrivateUsage]
    later = NOW + timedelta(seconds=10)
    await upgraded.settle([delivery(body(later, 2, ch4_pct_lel=80.0), 2, at=later)], 2)
    assert await pool.fetchval("SELECT state FROM alert") == "cleared"
    assert await pool.fetchval("SELECT state FROM ticket") == "resolved"


async def test_numbers_that_a_devices_counter_skipped_are_counted_until_they_come(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)

    async def missed_after(*numbers: tuple[int, int]) -> int:
        batch = [delivery(body(NOW + timedelta(seconds=at - 600), seq, tilt_deg=1.0), seq) for at, seq in numbers]
        await flow.settle(batch, numbers[0][0])
        return int(await pool.fetchval("SELECT missed FROM device_state"))

    assert await missed_after((1, 1), (2, 2), (6, 6)) == 3
    assert await missed_after((4, 4)) == 2
    assert await missed_after((7, 1)) == 2  # the counter began anew
    assert await missed_after((8, 60_000)) == 2  # and again


async def test_a_registry_that_changes_while_a_batch_asks_for_it_hides_no_device(pool: Any) -> None:
    """A change is announced between the question and its answer: the batch keeps the devices it knew."""
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW - timedelta(seconds=9), 1, tilt_deg=1.0), 1)], 1)
    known = flow._parts.known  # pyright: ignore[reportPrivateUsage]
    load = known.load

    async def change_meanwhile(connection: Any, aliases: Any) -> Any:
        known.forget()
        found = await load(connection, aliases)
        known.forget()
        return found

    known.load = change_meanwhile  # type: ignore[method-assign]
    unknown = delivery(body(NOW, 1, tilt_deg=1.0), 2, device="DC-404")
    await flow.settle([delivery(body(NOW, 2, tilt_deg=1.0), 3), unknown], 2)
    assert await pool.fetchval("SELECT count(*) FROM reading") == 2
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 1


async def test_what_our_own_code_stumbles_over_is_set_aside_and_the_stream_goes_on(
    pool: Any, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(pool, "DC-1")
    async with ingesting(pool, mosquitto.url) as ingest:
        parts = ingest.worker._flow._parts  # pyright: ignore[reportPrivateUsage]
        route = parts.router.route

        def stumble(name: str) -> Any:
            if "stumble" in name:
                raise OverflowError("a fault of ours")
            return route(name)

        monkeypatch.setattr(parts.router, "route", stumble)
        await publish(
            mosquitto,
            ("city/v1/000000/service/streetwarden-ingest-1/heartbeat", b"9" * 25),
            (topic("stumble-1"), body(NOW, 1, tilt_deg=1.0)),
            (topic("DC-1"), body(NOW, 1, tilt_deg=1.0)),
        )
        await until(lambda: settled(pool, 2))
    assert await pool.fetchval("SELECT count(*) FROM reading") == 1
    held = await pool.fetchrow("SELECT reason, detail FROM quarantine")
    assert (held["reason"], "a fault of ours" in held["detail"]) == ("refused_by_database", True)


async def test_a_device_taken_off_its_asset_still_lets_go_of_its_ticket(pool: Any) -> None:
    await register(pool, "DC-1")
    await (await flow_on(pool)).settle([delivery(body(NOW, 1, ch4_pct_lel=80.0), 1)], 1)
    await pool.execute("UPDATE fitting SET fitted_until = now() + interval '1 day'")
    later = NOW + timedelta(seconds=10)
    await (await flow_on(pool)).settle([delivery(body(later, 2, ch4_pct_lel=0.0), 2, at=later)], 2)
    assert await pool.fetchval("SELECT state FROM ticket") == "resolved"


async def test_three_messages_of_one_moment_leave_what_fires_with_an_open_ticket(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    for token, value in enumerate((80.0, 0.0, 90.0), start=1):
        await flow.settle([delivery(body(NOW, token, ch4_pct_lel=value), token)], token)
    assert await pool.fetchval("SELECT state FROM alert") == "firing"
    ticket = await pool.fetchrow("SELECT t.state, t.firing FROM ticket t JOIN alert a ON a.ticket_id = t.id")
    assert tuple(ticket) == ("open", 1)


async def test_a_retired_device_takes_its_alerts_and_tickets_with_it(pool: Any) -> None:
    await register(pool, "DC-1")
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW, 1, ch4_pct_lel=80.0), 1)], 1)
    await pool.execute("UPDATE device SET life_cycle = 'retired'")
    cases = Cases(ZONE)
    await cases.start(pool, [rule for kind in load_kinds().values() for rule in kind.rules], NOW)
    await Ticker(pool, KnownDevices(load_kinds()), cases, LATE_BOUND).look(NOW, {"native": Coverage(NOW, NOW)})
    assert await pool.fetchval("SELECT state FROM alert") == "cleared"
    assert await pool.fetchval("SELECT state FROM ticket") == "resolved"
