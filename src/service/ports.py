"""TCP ports: whether one is free, and who holds it if not."""

import errno
import socket
from typing import Final

import psutil

from domain.errors import StreetwardenError
from service.failures import NoPermissionError, PortInUseError

_LAST_PRIVILEGED_PORT: Final = 1023


def require_free_port(host: str, port: int, *, purpose: str, setting: str) -> None:
    """Raise one sentence when we could not listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise _describe(error, host, port, purpose, setting) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _describe(error: OSError, host: str, port: int, purpose: str, setting: str) -> StreetwardenError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"Port {port} on {host}, needed for {purpose}, is in use{_holder(port)}; stop that program or choose "
            f"another port with {setting}."
        )
    if isinstance(error, PermissionError) and port <= _LAST_PRIVILEGED_PORT:
        return NoPermissionError(f"Port {port} for {purpose} needs root; choose one above 1023 with {setting}.")
    return NoPermissionError(f"Cannot listen on {host}:{port} for {purpose}: {error.strerror or error}.")


def _holder(port: int) -> str:
    """Who listens there, as far as the system tells this user."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if address and address.port == port and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""
