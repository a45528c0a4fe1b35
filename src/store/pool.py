"""Connections to PostgreSQL: how they are opened, what they are called, how long they may wait."""

from typing import Final
from urllib.parse import urlsplit

import asyncpg

from domain.errors import UnavailableError

_JSONB_VERSION: Final = b"\x01"
"""The first byte of jsonb on the wire, for as long as PostgreSQL has had jsonb."""


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer, or does not let us in."""

    code = "database_unavailable"


async def open_pool(
    url: str,
    *,
    application_name: str,
    min_size: int = 1,
    max_size: int = 8,
    connect_timeout_s: float = 10.0,
    statement_timeout_s: float = 30.0,
    lock_timeout_s: float = 10.0,
) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool whose connections speak UTC, and jsonb as plain bytes (for orjson).

    The caller closes it. ``application_name`` is what an operator sees in ``pg_stat_activity``.

    Raises:
        DatabaseUnavailableError: no connection could be made.
    """
    try:
        return await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=connect_timeout_s,
            command_timeout=statement_timeout_s + 5,  # the server's own limit, which says why, comes first
            init=set_codecs,
            server_settings={
                "application_name": application_name,
                "timezone": "UTC",
                "statement_timeout": str(int(statement_timeout_s * 1000)),
                "lock_timeout": str(int(lock_timeout_s * 1000)),
                # A transaction that its owner forgot must not hold its locks for ever.
                "idle_in_transaction_session_timeout": "60000",
            },
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise unavailable(url, error) from error


async def set_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let jsonb pass as bytes (the callers know orjson, asyncpg need not know JSON) and xid8 as a number."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
    )
    # Transaction ids order changes; asyncpg knows the 32-bit ones only.
    await connection.set_type_codec("xid8", schema="pg_catalog", format="text", encoder=str, decoder=int)


def unavailable(url: str, error: Exception) -> DatabaseUnavailableError:
    """One sentence that names the database without its password."""
    why = str(error).strip().splitlines()
    return DatabaseUnavailableError(
        f"The database at {without_secret(url)} cannot be reached: {why[0] if why else type(error).__name__}. "
        "Check that it runs and that STREETWARDEN_DATABASE_URL is right."
    )


def without_secret(url: str) -> str:
    """The URL for people: host, port and database, no user and no password."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] or "local socket"
    return f"{place}{parts.path}"


def _encode_jsonb(document: bytes) -> bytes:
    return _JSONB_VERSION + document


def _decode_jsonb(wire: bytes) -> bytes:
    return wire[1:]
