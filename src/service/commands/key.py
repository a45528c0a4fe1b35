"""``streetwarden key``: make, list and revoke API keys, where the database is and not over the network."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from domain.role import Role
from service.neighbours import database_url
from service.settings import Settings, load_settings
from store.connection import Pool
from store.keys import create_key, list_keys, revoke_key
from store.migrate import require_current_schema
from store.pool import open_pool

_keys: Final = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

Result = TypeVar("Result")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_keys, name="key")


@_keys.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Who or what will hold it, for example 'wall screen 2'.")],
    role: Annotated[Role, typer.Option(help="What its holder may do.")] = Role.VIEWER,
) -> None:
    """Make a key and print it. It is shown this once; the database keeps only a hash."""
    settings = load_settings()
    now = settings.clock().now()
    typer.echo(_run(settings, lambda pool: create_key(pool, name=name, role=role, now=now)))


@_keys.command("list")
def show() -> None:
    """Print every key there ever was, without its secret."""
    table = Table("id", "name", "role", "made", "revoked")
    for key in _run(load_settings(), list_keys):
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(key.id, key.name, key.role, f"{key.created_at:%Y-%m-%d %H:%M} UTC", revoked)
    Console().print(table)


@_keys.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `streetwarden key list` shows it.")]) -> None:
    """Make a key worthless. Running processes may honour it for a few seconds more."""
    settings = load_settings()
    now = settings.clock().now()
    _run(settings, lambda pool: revoke_key(pool, key_id, now))
    typer.echo(f"Revoked {key_id}.")


def _run(settings: Settings, work: Callable[[Pool], Awaitable[Result]]) -> Result:
    """Do one thing with the database and let go of it."""

    async def run() -> Result:
        pool = await open_pool(database_url(settings), application_name="streetwarden key", min_size=1, max_size=1)
        try:
            await require_current_schema(pool)
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
