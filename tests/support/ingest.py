"""A whole ingest worker inside the test's own process, on a real database and a real broker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from devices.catalogue import load_kinds
from ingest.membership import Membership
from service.ingest import Ingest, wire
from service.known import KnownDevices
from service.settings import Settings


@asynccontextmanager
async def ingesting(
    pool: "asyncpg.Pool[asyncpg.Record]",
    mqtt_url: str,
    settings: Settings | None = None,
    membership: Membership | None = None,
) -> AsyncGenerator[Ingest, None]:
    """Run a worker until the test leaves; it is connected and subscribed when this returns."""
    with TemporaryDirectory() as folder:
        chosen = (settings or Settings()).model_copy(update={"data_dir": Path(folder)})
        ingest = await wire(chosen, pool, chosen.clock(), mqtt_url, KnownDevices(load_kinds()), membership)
        async with _running(ingest):
            yield ingest


@asynccontextmanager
async def _running(ingest: Ingest) -> AsyncGenerator[None, None]:
    tasks = ingest.start()
    try:
        async with asyncio.timeout(45):
            while not ingest.subscriber.connected:
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
