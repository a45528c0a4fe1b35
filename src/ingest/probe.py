"""Whether a broker's shared subscription delivers: what more than one worker depends on."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from domain.errors import UnavailableError
from ingest.broker import BrokerAddress, Protocol
from ingest.probe_client import TOPICS, ProbeSession

_MESSAGES: Final = 20
_SOON_S: Final = 0.5
"""Longer than this between two messages of one probe: nothing more will come."""


async def shared_subscription_delivers(
    broker: BrokerAddress, within_s: float = 5.0, protocol: Protocol = Protocol.AUTO
) -> bool:
    """Whether two members of a shared subscription get every message, each once. Leaves nothing at the broker.

    Granting it proves nothing: NATS grants ``$share/…`` and delivers nothing.

    Raises:
        UnavailableError: the broker cannot be reached, or does not let us in.
    """
    return await asyncio.to_thread(probe_shared_subscription, broker, within_s, protocol)


def probe_shared_subscription(broker: BrokerAddress, within_s: float, protocol: Protocol) -> bool:
    """The same, blocking."""
    deadline = time.monotonic() + within_s
    name = f"streetwarden-probe-{secrets.token_hex(4)}"
    topic = f"{TOPICS}/{name}/shared"
    spoken = protocol if protocol is not Protocol.AUTO else spoken_by(broker, deadline)
    with ExitStack() as stack:
        members = [
            stack.enter_context(ProbeSession(broker, f"{name}-{member}", spoken)) for member in ("a", "b", "publisher")
        ]
        for member in members:
            answer = member.connect(deadline)
            if not answer.accepted:
                raise UnavailableError(f"the broker at {broker} refused the connection: {answer.reason}")
        *sharing, publisher = members
        if not all(member.subscribe(f"$share/{name}/{topic}", deadline) for member in sharing):
            return False
        sent = [str(number).encode() for number in range(_MESSAGES)]
        if publisher.publish(topic, sent, deadline) < len(sent):
            return False
        return _each_once(sharing, sent, deadline)


def _each_once(members: Sequence[ProbeSession], sent: Sequence[bytes], deadline: float) -> bool:
    """Whether what was sent comes to the members together, each message once; ends early once they fall silent."""
    last = time.monotonic()
    count = 0
    while time.monotonic() < deadline and (count == 0 or time.monotonic() - last < _SOON_S):
        for member in members:
            known = len(member.heard)
            member.settle(0.05, deadline)
            for message in member.heard[known:]:
                member.acknowledge(message)
        heard = [message.payload for member in members for message in member.heard]
        if sorted(heard) == sorted(sent):
            return True
        if len(heard) > count:
            count, last = len(heard), time.monotonic()
    return False


def spoken_by(broker: BrokerAddress, deadline: float) -> Protocol:
    """Which MQTT to speak with it: 3.1.1 unless it refuses that.

    Raises:
        UnavailableError: the broker cannot be reached, or does not let us in.
    """
    reason = ""
    for protocol in (Protocol.V311, Protocol.V5):
        with ProbeSession(broker, f"streetwarden-probe-{secrets.token_hex(4)}", protocol) as asking:
            answer = asking.connect(deadline)
            if answer.accepted:
                return protocol
            reason = reason or answer.reason
    raise UnavailableError(f"the broker at {broker} refused the connection: {reason}")
