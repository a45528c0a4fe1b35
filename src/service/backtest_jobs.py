"""Backtests asked for over HTTP: worked off by a process of their own, so that nobody else waits for a processor.

The API looks for jobs and starts the process (:func:`follow_backtests`); the process takes one after the other
(:func:`work_off`), says every second how far it is, and ends when none is left. If it dies, the job is begun anew.
"""

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NoReturn

import structlog

from api.rule_desk import kinds_in_force
from devices.catalogue import load_kinds
from devices.rule_book import read_rule
from domain.errors import StreetwardenError
from rules.parameters import WrongParametersError
from service.backtest import Wanted, run_backtest
from service.backtest_figures import figures_of
from service.member_processes import end, how_it_ended, start_own
from service.settings import Settings
from store.backtests import BacktestRow, backtest_waits, beat, claim_backtest, finish_backtest
from store.connection import Pool
from store.failures import Failure, failure_of

COMMAND: Final = "work-off-backtests"
_LOOK_EVERY_S: Final = 1.0
_BEAT_EVERY_S: Final = 1.0
_PAUSE_S: Final = 10.0
"""After a process that failed."""

log = structlog.get_logger()


async def follow_backtests(settings: Settings, pool: Pool) -> NoReturn:
    """Start the process whenever a backtest waits, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            waits = await backtest_waits(pool, settings.clock().now())
        except Exception as error:
            if failure_of(error) is Failure.STOP:
                raise
            log.warning("backtests_not_seen", error=str(error))
            await asyncio.sleep(_PAUSE_S)
            continue
        if waits:
            await _run_process()


async def _run_process() -> None:
    process = await start_own("rules", COMMAND)
    try:
        code = await process.wait()
    finally:
        await end(process)
    if code != 0:
        log.warning("backtests_interrupted", how=how_it_ended(code))
        await asyncio.sleep(_PAUSE_S)


async def work_off(settings: Settings, pool: Pool) -> int:
    """Do every backtest that waits, the oldest first; return how many."""
    done = 0
    while (job := await claim_backtest(pool, settings.clock().now())) is not None:
        try:
            figures = await _do(settings, pool, job)
        except (StreetwardenError, WrongParametersError) as error:
            await finish_backtest(pool, job.id, settings.clock().now(), error=str(error))
        except Exception as error:
            if failure_of(error) is Failure.TRY_AGAIN:
                raise
            log.exception("backtest_failed", backtest=job.id)
            await finish_backtest(pool, job.id, settings.clock().now(), error=f"It failed: {error!r}")
        else:
            await finish_backtest(pool, job.id, settings.clock().now(), result=figures)
        done += 1
    return done


async def _do(settings: Settings, pool: Pool, job: BacktestRow) -> dict[str, Any]:
    came = [0.0, 0]

    def told(share: float, readings: int) -> None:
        came[:] = share, readings

    async def say() -> NoReturn:
        while True:
            await asyncio.sleep(_BEAT_EVERY_S)
            await beat(pool, job.id, settings.clock().now(), came[0], int(came[1]))

    began = time.perf_counter()
    saying = asyncio.create_task(say())
    try:
        in_force = await kinds_in_force(pool, load_kinds())
        wanted = wanted_of(job.body, settings.district_timezone)
        outcome = await run_backtest(pool, in_force, wanted, settings.clock().now(), told)
    finally:
        saying.cancel()
        with suppress(asyncio.CancelledError):
            await saying
    return figures_of(outcome, settings.zone, float(job.body.get("short_s", 300.0)), time.perf_counter() - began)


def wanted_of(body: Any, zone: str) -> Wanted:
    """What a job asks for; ``zone`` is the district's.

    Raises:
        WrongParametersError: a rule that was right when it was asked for no longer is.
    """
    rules = body.get("rules")
    kinds = load_kinds()
    return Wanted(
        since=datetime.fromisoformat(body["from"]),
        until=datetime.fromisoformat(body["to"]),
        zone=zone,
        rules=None if rules is None else [read_rule(one, kinds) for one in rules],
        kind=body.get("kind"),
        devices=body.get("devices"),
    )
