"""``streetwarden-sim clock``: print a simulated clock that several processes can share."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from domain.scenario_time import FASTEST, ScenarioTime
from simulators.moments import read_moment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(clock)


def clock(
    start: Annotated[str, typer.Option(help="Where the scenario's time begins: RFC 3339, or now.")] = "now",
    speed: Annotated[float, typer.Option(min=0.001, max=FASTEST, help="Seconds of the scenario a second.")] = 60.0,
    after: Annotated[
        float, typer.Option("--in", min=0, help="It begins in so many seconds; before, time runs up to it.")
    ] = 0.0,
) -> None:
    """Print a value for STREETWARDEN_SIM_CLOCK: with it, ingest, API and ``play`` live in the same time."""
    now = datetime.now(UTC).replace(microsecond=0)
    print(ScenarioTime(read_moment(start, now), speed, now + timedelta(seconds=after)))
