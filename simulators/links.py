"""Links: several bare connections to one broker, listened to together, brought back when they are lost."""

import select
import time
from collections.abc import Iterator, Sequence
from typing import Final

from domain.errors import UnavailableError
from simulators.address import BrokerAddress
from simulators.wire import ConnectionLostError, WireConnection

DRAINED_EVERY_S: Final = 0.004
"""While acknowledgements are waited for."""
RETRY_S: Final = 0.1
"""Between two attempts to reconnect."""
RETRIES_FOR_S: Final = 120.0
"""A broker that is away for longer ends the run."""


class Links:
    """The connections of one run."""

    def __init__(self, links: Sequence[WireConnection], broker: BrokerAddress, *, reconnect: bool) -> None:
        """Take the connections; without ``reconnect`` the loss of one ends the run."""
        self._links = links
        self._broker = broker
        self._reconnect = reconnect
        self._lost: dict[int, float] = {}
        """Connection → since when (monotonic)."""

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[WireConnection]:
        return iter(self._links)

    def __getitem__(self, index: int) -> WireConnection:
        return self._links[index]

    @property
    def backlog(self) -> int:
        """Sent and not yet acknowledged, over all connections."""
        return sum(link.backlog for link in self._links)

    @property
    def reconnects(self) -> int:
        """How often a connection was brought back."""
        return sum(max(0, link.connections - 1) for link in self._links)

    def connect(self) -> None:
        """Connect all.

        Raises:
            UnavailableError: the broker does not answer.
            UnauthenticatedError: the broker does not know us.
        """
        for link in self._links:
            link.connect()

    def listen(self, *, nap_s: float) -> None:
        """Read and write what the sockets have and take after a nap; reconnect whoever was lost.

        Raises:
            UnavailableError: a connection was lost for good.
        """
        if self._lost:
            self._restore()
        if nap_s > 0:
            time.sleep(nap_s)
        links = [link for link in self._links if link.connected]
        if not links:
            return
        writers = [link for link in links if link.wants_to_write]
        readable, writable, _ = select.select(links, writers, [], 0)
        for index, link in enumerate(self._links):
            try:
                if link in writable:
                    link.write()
                if link in readable:
                    link.read()
            except ConnectionLostError as error:
                self.lose(index, error)

    def drain(self, patience_s: float) -> None:
        """Wait for the acknowledgements still under way, so long, or until a lost connection is back."""
        give_up_at = time.monotonic() + patience_s
        while self.backlog and (self._lost or time.monotonic() < give_up_at):
            self.listen(nap_s=DRAINED_EVERY_S)

    def lose(self, index: int, error: ConnectionLostError) -> None:
        """A connection is gone.

        Raises:
            UnavailableError: reconnecting was not asked for.
        """
        self._links[index].drop()
        if not self._reconnect:
            raise UnavailableError(f"the broker at {self._broker} was lost: {error}") from error
        self._lost.setdefault(index, time.monotonic())

    def close(self) -> None:
        """Say goodbye on all."""
        for link in self._links:
            link.close()

    def _restore(self) -> None:
        """Try to bring back each lost connection, every ``RETRY_S`` seconds."""
        for index, since in list(self._lost.items()):
            try:
                self._links[index].connect()
            except UnavailableError:
                if time.monotonic() - since > RETRIES_FOR_S:
                    raise
                time.sleep(RETRY_S)
            except ConnectionLostError:
                self._links[index].drop()
            else:
                del self._lost[index]
