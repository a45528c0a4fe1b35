"""The broker's address, read from a URL."""

import os
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from domain.errors import InvalidInputError
from ingest.tls import SYSTEM_TRUST, TlsFiles, files_from

DEFAULT_URL: Final = "mqtt://127.0.0.1:1883"

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens and who we are there."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    files: TlsFiles = SYSTEM_TRUST
    """With what to speak TLS: the service's settings, so that both trust the same CA."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_address(url: str) -> BrokerAddress:
    """Read ``mqtt://user:password@host:port``; ``mqtts`` for TLS, with the files that ``STREETWARDEN_MQTT_CA`` … name.

    Raises:
        InvalidInputError: the URL cannot be read. The message leaves the URL out: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInputError(f"the broker's URL cannot be read: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise InvalidInputError("the broker's URL must look like mqtt://user:password@host:port (or mqtts://…)")
    return BrokerAddress(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        files=files_from(os.environ),
    )
