"""``streetwarden ingest``: from the broker to the database, by one worker or several."""

from typing import Annotated, Final

import typer
import uvloop

from domain.errors import UnavailableError
from ingest.catalogue import load_formats
from ingest.membership import in_group
from service.drain import drain as drain_session
from service.ingest import run_ingest
from service.logs import set_up_logs
from service.neighbours import database_url, mqtt_url
from service.readiness import why_not_ready
from service.settings import load_settings
from service.workers import run_workers

_MOST: Final = 64

_ingest: Final = typer.Typer(invoke_without_command=True)

ClientId = Annotated[str, typer.Option(metavar="ID", help="Name of the session at the broker.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_ingest, name="ingest")


@_ingest.callback()
def ingest(
    context: typer.Context,
    workers: Annotated[
        int | None, typer.Option(min=1, max=_MOST, help="Workers on one shared subscription (STREETWARDEN_WORKERS).")
    ] = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only say whether the workers of this machine do their work: 0 or 69.")
    ] = False,
) -> None:
    """Take messages from the broker, judge them, store everything, and only then acknowledge.

    More than one worker are kept running by a parent: it starts again whichever dies, and drains the sessions that
    are left over when their number changes. SIGTERM ends all; what is in hand then stays with the broker.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(workers=workers)
    if ready:
        why = why_not_ready(settings)
        if why is not None:
            raise UnavailableError(why)
        return
    set_up_logs(settings, program="ingest")
    if settings.workers == 1:
        uvloop.run(run_ingest(settings, database_url(settings), mqtt_url(settings)))
    else:
        uvloop.run(run_workers(settings, database_url(settings), mqtt_url(settings)))


@_ingest.command("member", hidden=True)
def member(client_id: ClientId) -> None:
    """Run one worker of the group; its parent starts it."""
    settings = load_settings().model_copy(update={"client_id": client_id})
    set_up_logs(settings, program=client_id)
    membership = in_group(client_id, load_formats())
    uvloop.run(run_ingest(settings, database_url(settings), mqtt_url(settings), membership))


@_ingest.command("drain")
def drain(client_id: ClientId) -> None:
    """Work off what a session holds whose worker shall not come back, then end it at the broker.

    Changing the number of workers does this by itself. It is needed after a change of STREETWARDEN_CLIENT_ID, or when
    a machine with workers is gone for good.
    """
    settings = load_settings()
    set_up_logs(settings, program="drain")
    settled = uvloop.run(drain_session(settings, database_url(settings), mqtt_url(settings), client_id))
    typer.echo(f"Ended the session {client_id}; {settled} messages were settled, our own heartbeats included.")
