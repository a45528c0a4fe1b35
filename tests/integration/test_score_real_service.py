"""The oracle on the real service: what it notices scores full, and what it is made to overlook or invent shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from domain.role import Role
from simulators.scoring.match import Verdict
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.scoring.score import Score, compute_score
from simulators.service_api import ServiceApi
from tests.support.api import client
from tests.support.brokers import Broker
from tests.support.ingest import ingesting
from tests.support.small_run import FACTS, SmallRun, compose, play, register_city

WHOLE = (1.0, 1.0, 0, 0, 0)


def figures(score: Score) -> tuple[float | None, float | None, int, int, int]:
    """Recall, precision, and what is wrong with tickets."""
    whole = score.whole
    return (
        whole.expected.recall,
        whole.raised.precision,
        score.tickets_missing,
        score.tickets_unexpected,
        score.duplicate_tickets,
    )


async def seen(http: httpx.AsyncClient, run: SmallRun) -> tuple[Score, list[ObservedAlert], list[ObservedTicket]]:
    api = ServiceApi(http, page=3)
    alerts, tickets = await api.alerts(), await api.tickets()
    return compute_score(run.info, run.faults, alerts, tickets, FACTS), alerts, tickets


def missed(score: Score) -> set[str]:
    return {answer.fault.fault for answer in score.matching.answers if not answer.found}


async def play_run(pool: asyncpg.Pool, broker: Broker, begins: datetime, prefix: str) -> SmallRun:
    """Play a run to a worker that has just started, and so knows the overrides of now."""
    run = compose(begins, prefix)
    async with ingesting(pool, broker.url):
        await play(pool, broker.url, run.messages)
    return run


async def override_bins(http: httpx.AsyncClient, **levels: dict[str, float]) -> None:
    for number in range(3):
        answer = await http.patch(f"/v1/devices/bin-{number}", json={"overrides": {"bin.full": levels}})
        answer.raise_for_status()


async def test_the_service_scores_full_and_what_it_says_made_worse_scores_less(
    pool: asyncpg.Pool, embedded_broker: Broker
) -> None:
    await register_city(pool)
    run = await play_run(pool, embedded_broker, datetime.now(UTC) - timedelta(hours=9), "F")
    async with client(pool, Role.VIEWER) as http:
        score, alerts, tickets = await seen(http, run)
    assert score.causes == ()
    assert (figures(score), score.whole.expected.total, len(tickets)) == (WHOLE, 6, 5)

    def rescored(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Score:
        return compute_score(run.info, run.faults, alerts, tickets, FACTS)

    rule_off = rescored([alert for alert in alerts if alert.rule != "bin.full"], tickets)
    assert (rule_off.whole.expected.recall, rule_off.whole.raised.precision) == (5 / 6, 1.0)
    assert missed(rule_off) == {"bin.full"}
    later = run.begins + timedelta(minutes=40)
    dropped = rescored([alert for alert in alerts if alert.onset > later], tickets)
    assert (missed(dropped), dropped.whole.raised.precision) == ({"manhole.opened", "bin.full"}, 1.0)
    doubled = rescored(alerts, tickets + [replace(one, number=f"{one.number}-2") for one in tickets])
    assert figures(doubled) == (1.0, 1.0, 0, 0, len(tickets))
    elsewhere = rescored([replace(alert, device="manhole-2") for alert in alerts], tickets)
    assert figures(elsewhere)[:2] == (0.0, 0.0)
    hour = timedelta(hours=1)
    shifted = rescored([replace(one, onset=one.onset + hour, fired_at=one.fired_at + hour) for one in alerts], tickets)
    assert figures(shifted)[:2] == (0.0, 0.0)


async def test_a_threshold_moved_in_the_service_shows_where_it_was_moved_and_nowhere_else(
    pool: asyncpg.Pool, embedded_broker: Broker
) -> None:
    await register_city(pool)
    now = datetime.now(UTC)
    async with client(pool, Role.ENGINEER) as http:
        await override_bins(http, minor={"limit": 99.0}, major={"limit": 99.5})
        run = await play_run(pool, embedded_broker, now - timedelta(hours=6), "F")
        deaf, _, _ = await seen(http, run)
        assert (missed(deaf), figures(deaf)) == ({"bin.full"}, (5 / 6, 1.0, 1, 0, 0))

        await override_bins(http, minor={"limit": 10.0, "clear": 8.0})
        run = await play_run(pool, embedded_broker, now - timedelta(hours=3), "G")
        nervous, _, _ = await seen(http, run)
    invented = {one.alert.rule for one in nervous.matching.judged if one.verdict is Verdict.INVENTED}
    assert invented == {"bin.full"}
    precision = {row.key: row.raised.precision for row in nervous.kinds}
    assert precision.pop("bin") != 1.0
    assert set(precision.values()) == {1.0}
