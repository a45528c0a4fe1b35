"""Every setting, read from the environment in this one place; each may also be left out."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.clock import Clock
from domain.flapping import FlappingBounds
from domain.scenario_time import read_scenario_time
from ingest.tls import TlsFiles
from service.clock import AnchoredClock, SimulatedClock, SystemClock
from service.embedded.nats import is_loopback
from service.failures import WrongSettingError

PREFIX: Final = "STREETWARDEN_"
_FOR_TESTS: Final = f"{PREFIX}TEST_"
_MIB: Final = 1024 * 1024
_LONGEST_CLIENT_ID: Final = 23


def _default_data_dir() -> Path:
    """The place that the XDG rules give to a user's data."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "streetwarden"


class Settings(BaseSettings):
    """What an operator may set. Names in the environment are these, in capitals, after ``STREETWARDEN_``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(default_factory=_default_data_dir)
    """Everything embedded keeps its data here, and the logs and the first admin key lie here."""
    database_url: SecretStr | None = None
    """PostgreSQL 15 or newer; without it the service starts its own."""
    mqtt_url: SecretStr | None = None
    """``mqtt://[user:password@]host[:port]`` or ``mqtts://…``; without it the service starts its own broker."""
    mqtt_ca: Path | None = None
    """PEM file of the CA that signed the broker's certificate; without it the system's trust store judges."""
    mqtt_cert: Path | None = None
    """PEM file of our own certificate, for a broker that asks for one."""
    mqtt_key: Path | None = None
    """PEM file of its private key, unencrypted."""
    mqtt_protocol: Literal["auto", "5", "3"] = "auto"
    """MQTT version; ``auto`` asks the broker."""
    mqtt_host: str = "127.0.0.1"
    """Where the embedded broker listens; wider than loopback needs ``mqtt_user`` and ``mqtt_password``."""
    mqtt_port: Annotated[int, Field(ge=1, le=65535)] = 1883
    mqtt_user: str | None = None
    """User name that publishers must give to the embedded broker."""
    mqtt_password: SecretStr | None = None
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,23}$")] = "streetwarden-ingest-1"
    """Name of this worker's session at the broker: stable, and never shared by two workers."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Ingest workers on one shared subscription; more than one are called ``client_id`` with -1, -2 … behind it."""
    api_host: str = "127.0.0.1"
    """Where the API listens; wider than loopback it starts only if a key exists."""
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    district_timezone: str = "Asia/Shanghai"
    rules_dir: Path | None = None
    """Folder of rule files that are followed: what they say is in force within a second."""
    sim_clock: str | None = None
    """``2026-01-01T00:00:00Z*60``: a clock that starts then and runs 60 times as fast. With ``@`` and a moment of the
    wall's time behind it, every process agrees on it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"
    """``auto``: text on a terminal, else JSON."""
    future_bound_s: Annotated[float, Field(gt=0)] = 300.0
    """A reading whose time is further ahead of ours is quarantined."""
    past_bound_days: Annotated[float, Field(gt=0)] = 400.0
    """A reading older than this is quarantined."""
    late_bound_days: Annotated[float, Field(gt=0)] = 7.0
    """A reading that comes later than this is stored, and changes nothing that was decided."""
    flapping_openings: Annotated[int, Field(ge=2, le=1_000)] = FlappingBounds().openings
    """An alert that opens so often within the look-back flaps: it is announced once, and keeps its ticket."""
    flapping_look_back_s: Annotated[float, Field(ge=60, le=604_800)] = FlappingBounds().look_back.total_seconds()
    """The look-back; without an opening for so long it is calm."""
    quarantine_keep_days: Annotated[float, Field(gt=0, le=36_500)] = 90.0
    """What lies in quarantine loses its bytes after this, and its row after as long again."""
    batch_max_messages: Annotated[int, Field(ge=1, le=20_000)] = 2_000
    """Messages in one transaction at most."""
    batch_max_bytes: Annotated[int, Field(ge=1_024)] = 8 * _MIB
    """Payload bytes in one transaction at most."""
    inbox_max_bytes: Annotated[int, Field(ge=_MIB)] = 64 * _MIB
    """Received and not yet committed; beyond it the worker disconnects for a while, and the broker keeps the rest."""

    @field_validator("data_dir", "rules_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("district_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("should be a time zone such as Asia/Shanghai") from None
        return value

    @field_validator("sim_clock")
    @classmethod
    def _readable_clock(cls, value: str | None) -> str | None:
        if value is not None:
            read_scenario_time(value)
        return value

    @model_validator(mode="after")
    def _closed_to_strangers(self) -> Self:
        if bool(self.mqtt_user) != bool(self.mqtt_password):
            raise ValueError("STREETWARDEN_MQTT_USER and STREETWARDEN_MQTT_PASSWORD belong together: set both or none")
        if self.mqtt_url is None and not is_loopback(self.mqtt_host) and not self.mqtt_user:
            raise ValueError(
                f"STREETWARDEN_MQTT_HOST={self.mqtt_host} lets other machines connect, so publishers need a password: "
                "set STREETWARDEN_MQTT_USER and STREETWARDEN_MQTT_PASSWORD, or keep 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _encrypted_if_meant_so(self) -> Self:
        if self.mqtt_key and not self.mqtt_cert:
            raise ValueError("STREETWARDEN_MQTT_KEY belongs to a certificate: set STREETWARDEN_MQTT_CERT, too")
        url = "" if self.mqtt_url is None else self.mqtt_url.get_secret_value()
        if (self.mqtt_ca or self.mqtt_cert) and not url.startswith("mqtts://"):
            # Whoever names a CA believes that nobody can listen in.
            raise ValueError(
                "STREETWARDEN_MQTT_CA and STREETWARDEN_MQTT_CERT are for TLS, but STREETWARDEN_MQTT_URL does not begin "
                "with mqtts://: change it, or unset them"
            )
        return self

    @model_validator(mode="after")
    def _room_for_numbers(self) -> Self:
        if self.workers > 1 and len(f"{self.client_id}-{self.workers}") > _LONGEST_CLIENT_ID:
            raise ValueError(
                f"STREETWARDEN_CLIENT_ID={self.client_id} leaves no room for the number of {self.workers} workers: a "
                f"client id may have {_LONGEST_CLIENT_ID} characters (MQTT 3.1.1), so choose a shorter one"
            )
        return self

    @property
    def tls_files(self) -> TlsFiles:
        """With what to speak TLS to the broker."""
        return TlsFiles(self.mqtt_ca, self.mqtt_cert, self.mqtt_key)

    @property
    def worker_ids(self) -> tuple[str, ...]:
        """The client id of each ingest worker. One alone has the name as it is, and so the session it always had."""
        if self.workers == 1:
            return (self.client_id,)
        return tuple(f"{self.client_id}-{number}" for number in range(1, self.workers + 1))

    @property
    def ingest_folder(self) -> Path:
        """Where each ingest worker writes how it is."""
        return self.data_dir / "ingest"

    @property
    def logs(self) -> Path:
        """Where the output of every child goes."""
        return self.data_dir / "logs"

    @property
    def zone(self) -> ZoneInfo:
        """The district's own time, for days and working hours."""
        return ZoneInfo(self.district_timezone)

    def clock(self) -> Clock:
        """The clock that this process lives by."""
        if self.sim_clock is None:
            return SystemClock()
        scenario = read_scenario_time(self.sim_clock)
        if scenario.anchor is None:
            return SimulatedClock(scenario.start, scenario.speed)
        return AnchoredClock(scenario)

    @property
    def clock_speed(self) -> float:
        """How many seconds of this process's clock pass in a second."""
        return 1.0 if self.sim_clock is None else read_scenario_time(self.sim_clock).speed

    def anchored_sim_clock(self) -> str | None:
        """The simulated clock as processes started together must all be told it: begun now, unless it was before."""
        return None if self.sim_clock is None else str(read_scenario_time(self.sim_clock).anchored(datetime.now(UTC)))


def load_settings(environment: Mapping[str, str] | None = None, *, workers: int | None = None) -> Settings:
    """Read the settings; ``workers`` is what a command line says of their number.

    Raises:
        WrongSettingError: one is misspelt, malformed, or unsafe; the sentence names it and never shows its value.
    """
    names = os.environ if environment is None else environment
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    strange = sorted(
        name for name in names if name.startswith(PREFIX) and not name.startswith(_FOR_TESTS) and name not in known
    )
    if strange:
        raise WrongSettingError(f"There is no setting {strange[0]}; the settings are {', '.join(sorted(known))}.")
    try:
        return Settings() if workers is None else Settings(workers=workers)
    except ValidationError as error:
        raise WrongSettingError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    where = "".join(f"{PREFIX}{str(part).upper()}: " for part in first["loc"][:1])
    return f"{where}{message}."
