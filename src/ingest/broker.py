"""What a subscriber must know of its broker: where it is, which MQTT to speak, and what to subscribe to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote, urlsplit

from domain.errors import InvalidInputError


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
    password: str | None

    @classmethod
    def from_url(cls, url: str) -> "BrokerAddress":
        """Read ``mqtt://user:password@host:port``.

        Raises:
            InvalidInputError: the URL is of another form; the message leaves out what may be secret.
        """
        parts = urlsplit(url)
        if parts.scheme != "mqtt" or not parts.hostname:
            message = (
                "the broker's URL must look like mqtt://user:password@host:1883 (user and password may be left out)"
            )
            raise InvalidInputError(message)
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(parts.hostname, parts.port or 1883, user, password)


@dataclass(frozen=True, slots=True)
class SubscriberOptions:
    """What a subscriber needs to know."""

    broker: BrokerAddress
    client_id: str
    """Stable: the broker keeps the session under it."""
    filters: tuple[str, ...]
    heartbeats: Mapping[str, str]
    """Heartbeat topic → source name."""
    protocol: Protocol = Protocol.AUTO
    receive_maximum: int = 2000
    """Messages outstanding at once (MQTT 5 Receive Maximum)."""
    inbox_max_bytes: int = 64 * 1024 * 1024
    heartbeat_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Connected:
    """Told when a connection stands."""

    protocol: Protocol
    session_present: bool
    """The broker still knew our session, and so kept what came in between."""
    expected_session: bool
    """It should have known it: this process had been connected before."""
