"""``streetwarden ingest``: one ingest worker, from the broker to the database."""

import typer
import uvloop

from service.ingest import run_ingest
from service.logs import set_up_logs
from service.neighbours import database_url, mqtt_url
from service.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ingest")(ingest)


def ingest() -> None:
    """Take messages from the broker, judge them, store everything, and only then acknowledge."""
    settings = load_settings()
    set_up_logs(settings, program="ingest")
    uvloop.run(run_ingest(settings, database_url(settings), mqtt_url(settings)))
