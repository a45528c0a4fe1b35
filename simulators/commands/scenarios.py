"""``streetwarden-sim scenarios``: list the scenarios that come along; ``faults``: everything that they may play."""

import typer
from rich.console import Console
from rich.table import Table

from devices.catalogue import load_kinds
from simulators.faultbook.catalogue import load_faultbook
from simulators.scenario import load_scenario, shipped_scenarios
from simulators.truth import Purpose


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(scenarios)
    app.command()(faults)


def scenarios() -> None:
    """List the scenarios that ``play`` knows by name, with their seeds."""
    book = load_faultbook(load_kinds().values())
    table = Table("Scenario", "What happens", "Lasts", "Seeds", title="Scenarios")
    for name in shipped_scenarios():
        scenario = load_scenario(name, book)
        seeds = "\n".join(f"{purpose.value}: {', '.join(map(str, scenario.seeds[purpose]))}" for purpose in Purpose)
        told = f"{scenario.title} {scenario.title_zh}\n{scenario.about}"
        table.add_row(name, told, f"{scenario.duration_s / 3600:g} h", seeds)
    Console().print(table)


def faults() -> None:
    """List every fault that a scenario or ``inject`` can play, and what must follow."""
    table = Table("Fault", "What happens", title="The fault book")
    table.add_column("Must fire", overflow="fold")
    kind: str | None = None
    for name, line in load_faultbook(load_kinds().values()).items():
        if name.partition(".")[0] != kind:
            kind = name.partition(".")[0]
            table.add_section()
        entry = line.entry
        wanted = "" if entry.needs is None else f"(needs a rule of the kind {entry.needs})"
        told = [*entry.raises, *(f"{rule} (under a lighting schedule)" for rule in entry.scheduled)]
        table.add_row(name, f"{entry.title} {entry.title_zh}", "\n".join(told) or wanted or "nothing")
    Console().print(table)
