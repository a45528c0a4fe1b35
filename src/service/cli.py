"""The command ``streetwarden``: gathers the commands, and turns what goes wrong into one sentence and an exit code."""

import importlib
import pkgutil
import sys

import typer

from domain.errors import StreetwardenError
from service import commands


def build_app() -> typer.Typer:
    """Assemble every command that lies in ``service/commands``."""
    app = typer.Typer(
        name="streetwarden",
        help="Sensing and tickets for a district's streets. Start with: streetwarden run",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # its frames show local variables, and so secrets
    )
    for info in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{commands.__name__}.{info.name}")
        register = getattr(module, "register", None)
        if register is None:
            raise TypeError(f"{module.__name__} must offer register(app: typer.Typer) -> None")
        register(app)
    return app


def main() -> None:
    """Run the command line."""
    try:
        build_app()()
    except StreetwardenError as error:
        sys.stderr.write(f"streetwarden: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
