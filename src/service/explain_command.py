"""``streetwarden rules explain``: why a rule fired on a device at a moment, or did not."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.explained import Moment, explain_moment
from devices.catalogue import load_kinds
from domain.errors import InvalidInputError
from rules.why import time_of, value_of
from service.moments import moment_of
from service.on_database import on_database
from service.settings import load_settings
from store.connection import Pool


def explain(
    device: Annotated[str, typer.Argument(help="Its name.")],
    rule: Annotated[str, typer.Argument(help="Its key, such as manhole.tilt.")],
    at: Annotated[str | None, typer.Option("--at", help="Time with its offset, or the district's; now.")] = None,
) -> None:
    """Tell how a rule of a device stood at a moment: what it saw, what broke its hold, what followed."""
    settings = load_settings()
    now = settings.clock().now()
    moment = now if at is None else moment_of(at, settings.zone)
    if moment > now:
        raise InvalidInputError(f"--at: not later than now ({time_of(now)})")

    async def work(pool: Pool) -> Moment:
        return await explain_moment(pool, load_kinds(), device, rule, moment, settings.zone.key)

    _show(on_database(settings, "rules explain", work))


def _show(moment: Moment) -> None:
    console = Console(highlight=False)
    console.print(moment.why)
    if not moment.whole:
        console.print("The rule was never calm in what was looked at: what it remembered before may differ.")
    if moment.looks:
        table = Table("event time", "received", "values", "said")
        for look in moment.looks:
            values = ", ".join(f"{name} {value_of(value)}" for name, value in look.values.items())
            said = ", ".join(f"{severity.name.lower()} {verdict.value}" for severity, verdict in look.verdicts)
            table.add_row(time_of(look.at), time_of(look.received_at), values, look.not_judged or said)
        console.print(table)
    for one in moment.happened:
        console.print(f"{time_of(one.at)} {one.sentence}")
    for alert in moment.alerts:
        ticket = "no ticket" if alert.ticket is None else f"ticket {alert.ticket}"
        console.print(f"alert {alert.id}, fired at {time_of(alert.fired_at)}, {ticket}")
