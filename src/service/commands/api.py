"""``streetwarden api``: serve HTTP until told to stop."""

import asyncio
import signal
from datetime import timedelta
from typing import Final

import typer
import uvicorn
import uvloop

from api.app import create_app
from api.parts import ApiSettings
from domain.errors import RefusedError
from ingest.normalise import TimeBounds
from service.backtest_jobs import follow_backtests
from service.embedded.nats import is_loopback
from service.logs import set_up_logs
from service.neighbours import database_url
from service.ports import require_free_port
from service.settings import PREFIX, Settings, load_settings
from store.connection import Pool
from store.keys import any_key
from store.migrate import require_current_schema
from store.pool import open_pool

_GRACE_S: Final = 10
"""What requests under way get when the service is told to stop."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("api")(api)


def api() -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C; needs a database with the current schema."""
    settings = load_settings()
    set_up_logs(settings, program="api")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Serve until a signal comes, then finish what is under way."""
    pool = await open_pool(database_url(settings), application_name="streetwarden api", min_size=2, max_size=10)
    try:
        await require_current_schema(pool)
        await _require_credentials(settings, pool)
        require_free_port(settings.api_host, settings.api_port, purpose="the API", setting=f"{PREFIX}API_PORT")
        await _serve_until_signal(settings, pool)
    finally:
        await pool.close()


def api_settings(settings: Settings) -> ApiSettings:
    """What the API is told of the service's settings."""
    return ApiSettings(
        zone=settings.zone,
        bounds=TimeBounds(timedelta(seconds=settings.future_bound_s), timedelta(days=settings.past_bound_days)),
    )


async def _serve_until_signal(settings: Settings, pool: Pool) -> None:
    configuration = uvicorn.Config(
        create_app(pool, settings.clock(), api_settings(settings)),
        host=settings.api_host,
        port=settings.api_port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # api.gate logs each request once, with its id
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(configuration)

    def stop() -> None:
        server.should_exit = True

    # uvicorn catches the signal itself, and raises it once more when it is done: caught here again, the process ends
    # as asked and not as killed.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    backtests = asyncio.create_task(follow_backtests(settings, pool))
    try:
        await server.serve()
    finally:
        backtests.cancel()
        await asyncio.gather(backtests, return_exceptions=True)


async def _require_credentials(settings: Settings, pool: Pool) -> None:
    """Refuse to listen to other machines while nobody holds a key: a service that none may use is misconfigured."""
    if not is_loopback(settings.api_host) and not await any_key(pool):
        raise RefusedError(
            f"{PREFIX}API_HOST={settings.api_host} lets other machines connect, but there is no key yet: "
            "make one with `streetwarden key new`, or listen on 127.0.0.1."
        )
