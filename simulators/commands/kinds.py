"""``streetwarden-sim kinds``: list what there is to play."""

import typer
from rich.console import Console
from rich.table import Table

from devices.catalogue import load_kinds


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(kinds)


def kinds() -> None:
    """List the device kinds, the faults they can play, and the rules that must then fire."""
    table = Table("Kind", "Fault", "What happens", title="Device kinds and their faults")
    table.add_column("Must fire", no_wrap=True)
    for kind in load_kinds().values():
        table.add_section()
        for number, fault in enumerate(kind.faults):
            name = f"{kind.key} {kind.title_zh}" if number == 0 else ""
            table.add_row(name, fault.key, f"{fault.title} {fault.title_zh}", "\n".join(fault.raises))
    Console().print(table)
