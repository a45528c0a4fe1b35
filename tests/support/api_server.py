"""The HTTP interface on a real port, for programs that are started beside the test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import asyncpg
import uvicorn

from api.app import create_app
from api.parts import ApiSettings
from service.clock import SystemClock
from service.ports import free_port


@asynccontextmanager
async def serving(pool: asyncpg.Pool) -> AsyncGenerator[str]:
    """Serve until the test leaves; yields the URL."""
    port = free_port()
    app = create_app(pool, SystemClock(), ApiSettings(key_memory_s=0.0))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="on"))
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(30):
            while not server.started:  # uvicorn tells nobody
                if task.done():
                    task.result()
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task
