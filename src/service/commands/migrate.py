"""``streetwarden migrate``: bring the database's schema to this version."""

import asyncio

import typer

from service.neighbours import database_url
from service.settings import load_settings
from store.migrate import migrate


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate_command)


def migrate_command() -> None:
    """Bring the database's schema to this version; safe to call again, and from several machines at once."""
    revision = asyncio.run(migrate(database_url(load_settings())))
    typer.echo(f"The database is at revision {revision}.")
