"""``streetwarden quarantine``: look at what was set aside, have it settled again, let old things go."""

import asyncio
import time
from datetime import timedelta
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from api.models.stream import why_not_redrivable
from domain.clock import Clock
from domain.errors import InvalidInputError, NotFoundError, UnavailableError
from domain.ledger import Reason
from domain.quarantine import HoldState, RedriveState
from service.bench.screen import Screen
from service.on_database import on_database
from service.settings import load_settings
from store.connection import Pool
from store.quarantine_expiry import expire as let_go
from store.quarantine_views import QuarantineRow, find_quarantine, list_quarantine
from store.redrive import Redrive, ask_redrive, find_redrive, work_done

_quarantine: Final = typer.Typer(no_args_is_help=True, help="Messages that were set aside: look, re-drive, expire.")

_LOOK_EVERY_S: Final = 0.5
_PREVIEW: Final = 2_000


class NobodyWorksError(UnavailableError):
    """A re-drive waits, and no ingest worker does anything for it."""

    code = "no_ingest_worker"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_quarantine, name="quarantine")


@_quarantine.command("list")
def show_list(
    reason: Annotated[Reason | None, typer.Option(help="Only those set aside for this.")] = None,
    source: Annotated[str | None, typer.Option(help="Only those that came by this source.")] = None,
    state: Annotated[HoldState | None, typer.Option(help="Only those in this state.")] = HoldState.HELD,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the last to appear first.")] = 50,
) -> None:
    """Print what lies in quarantine, the last to appear first."""
    rows = on_database(
        load_settings(),
        "quarantine",
        lambda pool: list_quarantine(pool, reason=reason, source=source, state=state, limit=limit),
    )
    table = Table("id", "state", "reason", "source", "topic", "held", "came", "last seen")
    for row in rows:
        seen = f"{row.last_seen:%Y-%m-%d %H:%M:%S}"
        table.add_row(
            str(row.id), row.state, row.reason, row.source, row.topic, str(row.held), f"{row.seen} times", seen
        )
    Console().print(table)


@_quarantine.command("show")
def show(number: Annotated[int, typer.Argument(metavar="ID", help="As the list shows it.")]) -> None:
    """Print one message: why it lies there, when it came, its bytes, and whether it can be settled again."""
    found = on_database(load_settings(), "quarantine", lambda pool: find_quarantine(pool, number))
    if found is None:
        raise NotFoundError(f"There is no message {number} in quarantine.")
    row = found.row
    typer.echo(f"{row.reason}: {row.detail}")
    typer.echo(f"topic {row.topic}, source {row.source}, {row.size} bytes")
    typer.echo(f"came {row.seen} times, first {row.first_seen:%Y-%m-%d %H:%M:%S} UTC, last {row.last_seen:%H:%M:%S}")
    typer.echo(_state_sentence(row))
    for received_at in found.receipts[:10]:
        typer.echo(f"  received {received_at.isoformat()}")
    if found.properties:
        typer.echo(f"properties {orjson.loads(found.properties)}")
    typer.echo(found.payload[: 4 * _PREVIEW].decode("utf-8", "replace")[:_PREVIEW])


def _state_sentence(row: QuarantineRow) -> str:
    match row.state:
        case HoldState.REDRIVEN:
            return f"settled again at {row.redriven_at:%Y-%m-%d %H:%M:%S} UTC"
        case HoldState.EXPIRED:
            return f"expired at {row.expired_at:%Y-%m-%d %H:%M:%S} UTC: its bytes are gone"
        case _:
            pass
    why_not = why_not_redrivable(row)
    if why_not is not None:
        return f"lies here {row.held} times and cannot be settled again: {why_not}"
    rest = f" ({row.unkept} of them only counted)" if row.unkept else ""
    return f"lies here {row.held} times{rest}; it can be settled again"


@_quarantine.command("redrive")
def redrive(
    number: Annotated[int | None, typer.Option("--id", help="One message.")] = None,
    reason: Annotated[Reason | None, typer.Option(help="All that was set aside for this.")] = None,
    source: Annotated[str | None, typer.Option(help="All that came by this source.")] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait while no ingest worker does anything for it; 0: only ask.")
    ] = 30.0,
) -> None:
    """Have messages settled again, as if they had just been received at the times at which they were.

    An ingest worker does it between its batches; this follows it to its end. What fails again goes back under its new
    reason.
    """
    if sum(part is not None for part in (number, reason, source)) != 1:
        raise InvalidInputError("Say which: exactly one of --id, --reason, --source.")
    settings = load_settings()
    now = settings.clock().now()

    async def work(pool: Pool) -> Redrive:
        if number is not None and await find_quarantine(pool, number) is None:
            raise NotFoundError(f"There is no message {number} in quarantine.")
        asked = await ask_redrive(
            pool, quarantine_id=number, reason=reason, source=source, by="the command line", now=now
        )
        return await _follow(pool, asked, patience) if patience else asked

    for line in _outcome(on_database(settings, "quarantine redrive", work)):
        typer.echo(line)


async def _follow(pool: Pool, job: Redrive, patience: float) -> Redrive:
    """Show the job's progress until it is done; another job before it counts as progress, too.

    Raises:
        NobodyWorksError: no worker does anything for as long as the patience; the job stays.
    """
    gives_up, before = time.monotonic() + patience, await work_done(pool)
    with Screen.shown() as screen:
        bar = screen.bar(f"re-drive {job.id}", max(1, job.wanted))
        while job.state is not RedriveState.DONE:
            await asyncio.sleep(_LOOK_EVERY_S)
            found = await find_redrive(pool, job.id)
            assert found is not None  # jobs are never removed
            job = found
            waits = job.state is RedriveState.QUEUED
            bar.show(job.counts.taken, "waiting for an ingest worker" if waits else f"{job.counts.taken} receipts")
            if (done := await work_done(pool)) != before:
                gives_up, before = time.monotonic() + patience, done
            elif job.state is not RedriveState.DONE and time.monotonic() > gives_up:
                raise NobodyWorksError(
                    f"For {patience:g} s no ingest worker has done anything for re-drive {job.id}: is "
                    "`streetwarden ingest` running? The job stays, and the next worker does it."
                )
        bar.finish(f"{job.counts.taken} receipts")
    return job


def _outcome(job: Redrive) -> list[str]:
    """What came out, in sentences."""
    counts = job.counts
    lines = [
        f"re-drive {job.id}, {job.state}: {counts.taken} of {job.wanted} receipts taken",
        f"messages: {counts.accepted} accepted, {counts.ignored} ignored, {counts.held_again} back in quarantine",
        f"readings: {counts.stored} stored, {counts.duplicate} duplicates, {counts.rejected} rejected",
    ]
    if job.not_whole:
        lines.append(f"{job.not_whole} receipts stay: of their messages only the first 64 KiB were kept")
    if job.without_time:
        lines.append(f"{job.without_time} receipts stay: they were only counted, and nobody knows when they came")
    return lines


@_quarantine.command("expire")
def expire(
    older_than_days: Annotated[
        float | None, typer.Option(min=0, help="Last seen longer ago than this; else the setting's days.")
    ] = None,
) -> None:
    """Let go of what was last seen long ago: first the bytes, and after as long again the row.

    An ingest worker does this by itself; the ledger is not touched.
    """
    settings = load_settings()
    days = settings.quarantine_keep_days if older_than_days is None else older_than_days
    clock: Clock = settings.clock()

    async def work(pool: Pool) -> tuple[int, int, int]:
        emptied = removed = doubles = 0
        async with pool.acquire() as connection:
            while (gone := await let_go(connection, clock.now(), timedelta(days=days))).any:
                emptied, removed, doubles = emptied + gone.emptied, removed + gone.removed, doubles + gone.doubles
        return emptied, removed, doubles

    emptied, removed, doubles = on_database(settings, "quarantine expire", work)
    typer.echo(
        f"{emptied} messages last seen more than {days:g} days ago let go of their bytes; {removed} rows and "
        f"{doubles} receipts of duplicates are gone"
    )
