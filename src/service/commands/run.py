"""``streetwarden run``: everything on one machine, from an empty directory to a fleet that raises alerts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from service.admin_key import ensure_admin_key
from service.children import Program, read_tail
from service.data_dir import held
from service.failures import EXIT_CODES, ChildDiedError, WrongSettingError
from service.neighbours import embedded_nats, embedded_postgres
from service.ports import require_free_port
from service.settings import PREFIX, Settings, load_settings
from service.supervise import Supervisor
from store.migrate import migrate

_SECONDS_BETWEEN_REPORTS: Final = 5.0
"""Each simulated device reports this often, so that a first alert is seen within a minute of the start."""
_FLEET_SEED: Final = 1
_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the children are told about where things are."""

    database_url: str
    mqtt_url: str
    sim_clock: str | None = None
    """Anchored, so that all of them live in the same time."""

    def environment(self) -> dict[str, str]:
        """Our own environment and the two addresses: they hold passwords, so they never stand in a command line."""
        told = {f"{PREFIX}DATABASE_URL": self.database_url, f"{PREFIX}MQTT_URL": self.mqtt_url}
        if self.sim_clock is not None:
            told[f"{PREFIX}SIM_CLOCK"] = self.sim_clock
        return {**os.environ, **told, "PYTHONUNBUFFERED": "1"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    codes = "\n\n".join(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items())
    app.command("run", epilog=f"Exit codes:\n\n{codes}")(run)


def run(
    fleet: Annotated[int, typer.Option(min=1, help="How many simulated devices report.")] = 1000,
    no_fleet: Annotated[bool, typer.Option("--no-fleet", help="Start no simulated devices.")] = False,
) -> None:
    """Start database, broker, ingest, API and a simulated fleet; stop them all with Ctrl-C."""
    settings = load_settings()
    if settings.workers > 1 and settings.mqtt_url is None:
        raise WrongSettingError(
            "STREETWARDEN_WORKERS is above 1, and the embedded broker grants a shared subscription and delivers "
            "nothing: leave it at 1, or name a broker with STREETWARDEN_MQTT_URL."
        )
    with held(settings.data_dir), Supervisor() as supervisor:
        require_free_port(settings.api_host, settings.api_port, purpose="the API", setting=f"{PREFIX}API_PORT")
        start_everything(settings, supervisor, devices=0 if no_fleet else fleet)
        supervisor.watch()
    typer.echo("Stopped. The data is kept; start again whenever you like.")


def start_everything(settings: Settings, supervisor: Supervisor, *, devices: int) -> None:
    """The order in which things start: each stands on the one before."""
    neighbours = _start_neighbours(settings, supervisor)
    if supervisor.stopping:
        return
    typer.echo("migrating the database ...")
    asyncio.run(migrate(neighbours.database_url))
    key = asyncio.run(ensure_admin_key(settings.data_dir, neighbours.database_url, settings.clock()))
    environment = neighbours.environment()
    registry = _register_fleet(settings, environment, devices) if devices else None
    for program in _service_programs(settings, environment, registry, devices):
        if not supervisor.stopping:
            typer.echo(f"starting {program.name} ...")
            supervisor.start(program)
    if not supervisor.stopping:
        supervisor.check()
        typer.echo(welcome(settings, neighbours, key, devices))


def welcome(settings: Settings, neighbours: Neighbours, key: str | None, devices: int) -> str:
    """What the person at the terminal needs next."""
    api = api_url(settings)
    scheme, _, rest = neighbours.mqtt_url.partition("://")
    broker = f"{scheme}://{rest.rpartition('@')[2]}"
    shown = key or "made elsewhere; `streetwarden key new` makes another"
    lines = [
        "",
        "Streetwarden runs.",
        "",
        f"api   {api}",
        f"key   {shown}",
        f"docs  {api}/docs",
        f"mqtt  {broker}",
        f"fleet {devices} simulated devices" if devices else "fleet none",
        f"data  {settings.data_dir} (logs in {settings.logs})",
        "",
        "Try:",
        f"  curl -H 'Authorization: Bearer {key or '<key>'}' {api}/v1/alerts",
        "",
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines)


def api_url(settings: Settings) -> str:
    """Where this machine reaches the API."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.api_host, settings.api_host)  # noqa: S104 - compared
    return f"http://{host}:{settings.api_port}"


def _start_neighbours(settings: Settings, supervisor: Supervisor) -> Neighbours:
    if settings.database_url is not None:
        database = settings.database_url.get_secret_value()
    else:
        postgres = embedded_postgres(settings)
        typer.echo("starting the database ...")
        supervisor.start(postgres.prepare())
        database = postgres.url
    if settings.mqtt_url is not None:
        return Neighbours(database, settings.mqtt_url.get_secret_value(), settings.anchored_sim_clock())
    nats = embedded_nats(settings)
    if not supervisor.stopping:
        typer.echo("starting the MQTT broker ...")
        supervisor.start(nats.prepare())
    return Neighbours(database, nats.url, settings.anchored_sim_clock())


def _register_fleet(settings: Settings, environment: Mapping[str, str], devices: int) -> Path:
    """Write the fleet's registry and import it; both give the same again, so a second start changes nothing."""
    registry = settings.data_dir / f"fleet-{devices}.csv"
    typer.echo(f"registering {devices} simulated devices ...")
    if not registry.exists():
        new = registry.with_suffix(".new")
        count, seed = str(devices), str(_FLEET_SEED)
        _finish(settings, environment, "simulators", "fleet", "--devices", count, "--seed", seed, "--out", str(new))
        new.replace(registry)
    _finish(settings, environment, "service", "import", str(registry))
    return registry


def _finish(settings: Settings, environment: Mapping[str, str], *command: str) -> None:
    """Run one of our own commands to its end."""
    log = settings.logs / "register.log"
    settings.logs.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        start = output.tell()
        done = subprocess.run(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    if done.returncode != 0:
        said = read_tail(log, start).strip().splitlines()
        last = said[-1] if said else f"exit code {done.returncode}"
        raise ChildDiedError(f"The simulated fleet could not be registered: {last} The whole output is in {log}.")


def _service_programs(
    settings: Settings, environment: Mapping[str, str], registry: Path | None, devices: int
) -> list[Program]:
    programs = [
        Program(
            name="ingest",
            argv=(sys.executable, "-m", "service", "ingest"),
            log_file=settings.logs / "ingest.log",
            env=environment,
            ready=lambda: True,  # the API tells whether it works: see the next one
            hint="Nothing is lost: the broker keeps what was not committed. Start again.",
            stop_timeout_s=20,
        ),
        Program(
            name="api",
            argv=(sys.executable, "-m", "service", "api"),
            log_file=settings.logs / "api.log",
            env=environment,
            ready=lambda: _answers(api_url(settings)),
            hint="Start again.",
            ready_timeout_s=_READY_S,
        ),
    ]
    if registry is not None:
        rate = f"{max(1.0, devices / _SECONDS_BETWEEN_REPORTS):g}"
        play = ("run", "--registry", str(registry), "--rate", rate, "--faults", "--quiet")
        programs.append(
            Program(
                name="simulator",
                argv=(sys.executable, "-m", "simulators", *play),
                log_file=settings.logs / "simulator.log",
                env=environment,
                ready=lambda: True,
                hint="Start again, or without it: streetwarden run --no-fleet.",
                stop_signal=signal.SIGINT,  # it then says what was sent and acknowledged
            )
        )
    return programs


def _answers(api: str) -> bool:
    try:
        return httpx.get(f"{api}/v1/health/ready", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
