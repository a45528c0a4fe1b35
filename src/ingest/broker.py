"""What a subscriber must know of its broker: where it is, which MQTT to speak, and what to subscribe to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import unquote, urlsplit

from domain.errors import InvalidInputError
from ingest.tls import SYSTEM_TRUST, TlsFiles

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class Protocol(Enum):
    """Which MQTT to speak."""

    AUTO = "auto"
    """3.1.1 first, which costs half as much to read (ADR 0019); 5 where the broker refuses it."""
    V5 = "5"
    V311 = "3"


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    tls: TlsFiles | None = None
    """With what to speak TLS; ``None``: plain MQTT."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def from_url(cls, url: str, files: TlsFiles = SYSTEM_TRUST) -> "BrokerAddress":
        """Read ``mqtt://user:password@host:port``; ``mqtts`` for TLS, for which ``files`` say whom to trust.

        Raises:
            InvalidInputError: the URL is of another form; the message leaves out what may be secret.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in _PORTS or not parts.hostname:
            message = (
                "the broker's URL must look like mqtt://user:password@host:1883 or, with TLS, "
                "mqtts://user:password@host:8883 (user and password may be left out)"
            )
            raise InvalidInputError(message)
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        tls = files if parts.scheme == "mqtts" else None
        return cls(parts.hostname, port or _PORTS[parts.scheme], user, password, tls)


@dataclass(frozen=True, slots=True)
class SubscriberOptions:
    """What a subscriber needs to know."""

    broker: BrokerAddress
    client_id: str
    """Stable: the broker keeps the session under it."""
    filters: tuple[str, ...]
    heartbeats: Mapping[str, str]
    """Heartbeat topic → source name."""
    unwanted: tuple[str, ...] = ()
    """Filters of an earlier start, given up once those wanted stand: under both, every message would come twice."""
    protocol: Protocol = Protocol.AUTO
    receive_maximum: int = 2000
    """Messages outstanding at once (MQTT 5 Receive Maximum)."""
    inbox_max_bytes: int = 64 * 1024 * 1024
    full_patience_s: float = 10.0
    """How long a full inbox may stay unread before it disconnects; well below the keepalive, whose answers wait too."""
    heartbeat_s: float = 1.0
    keepalive_s: int = 30

    @property
    def read_again_bytes(self) -> int:
        """Below this a full inbox is read again: soon, since a connection that is not read may not stay long."""
        return self.inbox_max_bytes // 8 * 7


@dataclass(frozen=True, slots=True)
class Connected:
    """Told when a connection stands."""

    protocol: Protocol
    session_present: bool
    """The broker still knew our session, and so kept what came in between."""
    expected_session: bool
    """It should have known it: this process had been connected before."""
