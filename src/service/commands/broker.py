"""``streetwarden broker check``: whether the broker keeps what Streetwarden depends on."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ingest.broker import Protocol
from ingest.broker_check import Finding, Verdict, check_broker
from service.neighbours import broker_address, mqtt_url
from service.settings import load_settings

_broker: Final = typer.Typer(no_args_is_help=True, help="Ask the broker what it can.")
_COLOURS: Final = {Verdict.OK: "green", Verdict.BROKEN: "red", Verdict.LIMIT: "yellow", Verdict.UNSEEN: "dim"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_broker, name="broker")


@_broker.callback()
def group() -> None:
    """Ask the broker what it can."""


@_broker.command("check")
def check(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Try out the broker contract (docs/brokers.md) with sessions of our own; ends with 1 if something is broken.

    It publishes below streetwarden/probe/ only, and leaves nothing behind.
    """
    settings = load_settings()
    broker = broker_address(settings, mqtt_url(settings))
    name = f"{settings.client_id}-check"
    findings = asyncio.run(check_broker(broker, name, Protocol(settings.mqtt_protocol)))
    if json:
        typer.echo(orjson.dumps([asdict(finding) for finding in findings], option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(_table(str(broker), findings))
    if any(finding.verdict is Verdict.BROKEN for finding in findings):
        raise typer.Exit(1)


def _table(broker: str, findings: list[Finding]) -> Table:
    table = Table("needed", "seen", "verdict", "what to set", title=f"Broker contract of {broker}")
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        table.add_row(finding.needed, finding.seen, f"[{colour}]{finding.verdict.value}[/]", finding.remedy)
    return table
