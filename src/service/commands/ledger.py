"""``streetwarden ledger``: whether the books balance."""

from datetime import datetime
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from api.ledger_report import check_ledger
from service.on_database import on_database
from service.settings import load_settings
from store.ledger_check import Scope

_ledger: Final = typer.Typer(no_args_is_help=True, help="The ledger: whether the books balance.")

_PATIENCE_S: Final = 900.0
"""Reading every row of a year takes its time."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_ledger, name="ledger")


@_ledger.callback()
def group() -> None:
    """The ledger: whether the books balance."""


@_ledger.command("check")
def check(
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the district.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, inclusive.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Count the rows of readings, too: reads all of them.")] = False,
) -> None:
    """Check every identity of the ledger, in one snapshot. Exit code 1 when one does not hold."""
    settings = load_settings()
    scope = Scope(settings.zone, None if since is None else since.date(), None if until is None else until.date())
    checks = on_database(
        settings, "ledger check", lambda pool: check_ledger(pool, scope, deep=deep), longest_statement_s=_PATIENCE_S
    )
    table = Table("what must hold", "compared", "deviating")
    for each in checks:
        table.add_row(each.title, f"{each.compared:,}", f"{each.deviating:,}")
    Console().print(table)
    for each in checks:
        for sentence in each.sentences:
            typer.echo(sentence)
    if any(each.deviating for each in checks):
        raise typer.Exit(1)
    typer.echo("The books balance.")
