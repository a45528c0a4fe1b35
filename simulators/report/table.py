"""A score as tables on a terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from simulators.report.words import NOTHING, count, share, span
from simulators.scoring.causes import Cause
from simulators.scoring.score import Row, Score, TicketRow


def show_score(score: Score, console: Console) -> None:
    """Print what happened, per fault, kind and case class, and why what went wrong did."""
    console.print(_headline(score))
    console.print(_expectations("Per fault", score.faults))
    console.print(_expectations("Per kind", (*score.kinds, score.whole)))
    console.print(_alerts((*score.kinds, score.whole)))
    if score.tickets:
        console.print(_tickets(score.tickets))
    if score.causes:
        console.print(_causes(score.causes))
    else:
        console.print("Nothing was missed, late, invented or forbidden.")


def _headline(score: Score) -> Table:
    run, whole = score.run, score.whole
    table = Table(show_header=False, box=box.SIMPLE, title=f"Score of {run.scenario} ({run.purpose.value} run)")
    table.add_row(
        "run", f"seed {run.seed}, {run.start:%Y-%m-%d %H:%M} to {run.end:%Y-%m-%d %H:%M} UTC, × {run.speed:g}"
    )
    table.add_row("recall", f"{share(whole.expected.recall)} of {whole.expected.total} expected alerts in time")
    table.add_row("precision", f"{share(whole.raised.precision)} of the alerts that claim something")
    table.add_row("delay", _delay(whole))
    table.add_row(
        "tickets",
        f"{score.tickets_missing} missing, {score.tickets_unexpected} unexpected, {score.duplicate_tickets} double",
    )
    if whole.expected.unanswerable:
        ahead = f", {whole.expected.answered_ahead} of them answered all the same"
        table.add_row(
            "not yet answerable", f"{whole.expected.unanswerable}{ahead if whole.expected.answered_ahead else ''}"
        )
    if whole.expected.undue:
        table.add_row("not due at the end", str(whole.expected.undue))
    if score.outside:
        table.add_row("left out", f"{score.outside} alerts of other devices, or begun before or after the run")
    if score.times.lag is None:
        table.add_row("clock", "the service's did not follow the run: delays tell when alerts fired, not when decided")
    return table


def _delay(row: Row) -> str:
    begin, beyond = row.expected.from_begin, row.expected.beyond_wait
    return (
        f"p50 {span(begin.p50)}, p99 {span(begin.p99)} from the fault's begin; "
        f"p50 {span(beyond.p50)}, p99 {span(beyond.p99)} beyond what the rule waits"
    )


def _expectations(title: str, rows: Iterable[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column(title.removeprefix("Per "), no_wrap=True)
    for name in ("played", "due", "met", "late", "missed", "not yet", "recall", "p50", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        told = row.expected
        table.add_row(
            row.key,
            count(row.instances),
            count(told.total),
            count(told.met),
            count(told.late),
            count(told.missed),
            count(told.unanswerable),
            share(told.recall),
            span(told.from_begin.p50),
            span(told.from_begin.p99),
        )
    return table


def _alerts(rows: Iterable[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Alerts per kind", title_justify="left")
    table.add_column("kind", no_wrap=True)
    for name in ("right", "again", "allowed", "forbidden", "invented", "taken back", "precision"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        told = row.raised
        figures = (told.right, told.again, told.allowed, told.forbidden, told.invented, told.contradicted)
        table.add_row(row.key, *(count(figure) for figure in figures), share(told.precision))
    return table


def _tickets(rows: Iterable[TicketRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Tickets per case class", title_justify="left")
    table.add_column("case class", no_wrap=True)
    for name in ("demanded", "came", "missing", "not yet", "unexpected", "double"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        figures = (row.demanded, row.came, row.missing, row.not_yet_answerable, row.unexpected, row.duplicates)
        table.add_row(row.case_class, *(count(figure) for figure in figures))
    return table


def _causes(causes: Iterable[Cause]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="What went wrong, and why", title_justify="left")
    for name in ("what", "count", "fault or kind", "rule or class", "why", "for example"):
        table.add_column(name, justify="right" if name == "count" else "left", overflow="fold")
    for cause in causes:
        table.add_row(
            cause.trouble.value,
            count(cause.count),
            cause.about or NOTHING,
            cause.rule,
            cause.why,
            ", ".join(cause.examples),
        )
    return table
