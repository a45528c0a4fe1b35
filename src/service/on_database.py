"""Commands that ask the database something and are done: open, check the schema, work, let go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.neighbours import database_url
from service.settings import Settings
from store.connection import Pool
from store.migrate import require_current_schema
from store.pool import open_pool

Result = TypeVar("Result")


def on_database(
    settings: Settings, name: str, work: Callable[[Pool], Awaitable[Result]], *, longest_statement_s: float = 30.0
) -> Result:
    """Do one thing with the database; ``name`` is what an operator sees there."""

    async def run() -> Result:
        pool = await open_pool(
            database_url(settings),
            application_name=f"streetwarden {name}",
            min_size=1,
            max_size=2,
            statement_timeout_s=longest_statement_s,
        )
        try:
            await require_current_schema(pool)
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
