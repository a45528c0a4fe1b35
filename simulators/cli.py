"""The command ``streetwarden-sim``: gathers the commands, and ends with one sentence where one cannot go on."""

import importlib
import pkgutil
import sys

import typer

from domain.errors import StreetwardenError
from simulators import commands


def build_app() -> typer.Typer:
    """Assemble every command that lies in ``simulators/commands``."""
    app = typer.Typer(
        name="streetwarden-sim",
        help="A fleet of simulated devices for Streetwarden: covers, bins, lamps, meters, and their faults.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for info in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{commands.__name__}.{info.name}")
        register = getattr(module, "register", None)
        if register is None:
            raise TypeError(f"{module.__name__} must offer register(app: typer.Typer) -> None")
        register(app)
    return app


def main() -> None:
    """Run a command, and end with one sentence and a code where it cannot go on.

    ``run`` is what the simulator is for, so its name may be left out: ``streetwarden-sim --kind bin --rate 50``.
    """
    words = sys.argv[1:]
    if words and words[0].startswith("-") and words[0] != "--help":
        words = ["run", *words]
    try:
        build_app()(words)
    except StreetwardenError as error:
        print(f"streetwarden-sim: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
