"""A real PostgreSQL for the tests, and a fresh migrated database for each test in a few milliseconds."""

import asyncio
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from service.children import running
from service.embedded.postgres import EmbeddedPostgres
from store.migrate import migrate

NOTHING_FORCED_TO_DISK = {"fsync": "off", "full_page_writes": "off"}


@contextmanager
def server(folder: Path) -> Generator[str]:
    """A throw-away server under ``folder``, or the one that STREETWARDEN_TEST_DATABASE_URL names; its URL."""
    named = os.environ.get("STREETWARDEN_TEST_DATABASE_URL")
    if named:
        yield named
        return
    embedded = EmbeddedPostgres(folder / "postgres", folder / "postgres.log", settings=NOTHING_FORCED_TO_DISK)
    with running(embedded.prepare()):
        yield embedded.url


@contextmanager
def template(server_url: str) -> Generator[str]:
    """The name of a migrated database to copy from."""
    name = f"template_{secrets.token_hex(4)}"
    execute(server_url, f"CREATE DATABASE {name}")
    try:
        asyncio.run(migrate(with_database(server_url, name)))
        yield name
    finally:
        execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def copy_of(template_name: str, server_url: str) -> Generator[str]:
    """The URL of a fresh copy, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template_name}")
    try:
        yield with_database(server_url, name)
    finally:
        execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def empty(server_url: str) -> Generator[str]:
    """The URL of a database with nothing in it, not even a schema version."""
    with copy_of("template0", server_url) as url:
        yield url


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own, in a loop of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        runner.run(run())
