"""What a statement is run on: a connection by itself or one lent by a pool."""

from typing import TypeAlias

import asyncpg
import asyncpg.pool

Executor: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection, lent or owned."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
"""A pool of them."""
