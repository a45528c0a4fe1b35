"""A whole ingest worker inside the test's own process, on a real database and a real broker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import asyncpg

from devices.catalogue import load_kinds
from service.ingest import Ingest, wire
from service.known import KnownDevices
from service.settings import Settings


@asynccontextmanager
async def ingesting(
    pool: "asyncpg.Pool[asyncpg.Record]", mqtt_url: str, settings: Settings | None = None
) -> AsyncGenerator[Ingest, None]:
    """Run a worker until the test leaves; it is connected and subscribed when this returns."""
    chosen = settings or Settings()
    ingest = await wire(chosen, pool, chosen.clock(), mqtt_url, KnownDevices(load_kinds()))
    tasks = [asyncio.create_task(ingest.subscriber.run()), asyncio.create_task(ingest.worker.run())]
    try:
        async with asyncio.timeout(45):
            while not ingest.subscriber.connected:
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
        yield ingest
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
