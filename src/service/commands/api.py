"""``streetwarden api``: serve HTTP until told to stop."""

import asyncio
import socket

import typer
import uvicorn

from api.app import create_app
from domain.errors import RefusedError
from service.embedded.nats import is_loopback
from service.logs import configure_logs
from service.neighbours import database_url
from service.ports import require_free_port
from service.settings import Settings, load_settings
from store.connection import Pool
from store.keys import any_key
from store.migrate import require_current_schema
from store.pool import open_pool

_GRACE_S = 10
"""What requests under way get when the service is told to stop."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("api")(api)


def api() -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C; needs a database with the current schema."""
    settings = load_settings()
    configure_logs(settings)
    with asyncio.Runner(loop_factory=uvicorn.Config(app="", loop="uvloop").get_loop_factory()) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    pool = await open_pool(database_url(settings), application_name="streetwarden api", min_size=2, max_size=10)
    try:
        await require_current_schema(pool)
        await _require_credentials(settings, pool)
        configuration = uvicorn.Config(
            create_app(pool, settings.clock()),
            host=settings.api_host,
            port=settings.api_port,
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,  # api.gate logs each request once, with its id
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        await uvicorn.Server(configuration).serve()
    finally:
        await pool.close()


async def _require_credentials(settings: Settings, pool: Pool) -> None:
    """Refuse to listen to other machines while nobody holds a key: a service that none may use is misconfigured."""
    if not is_loopback(settings.api_host) and not await any_key(pool):
        raise RefusedError(
            f"STREETWARDEN_API_HOST={settings.api_host} lets other machines connect, but there is no key yet: "
            "make one with `streetwarden key new`, or listen on 127.0.0.1."
        )
