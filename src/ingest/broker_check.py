"""The broker contract, tried out: what we need of a broker, what was seen, and what to set. docs/brokers.md has it."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from domain.errors import UnavailableError
from ingest.broker import BrokerAddress, Protocol
from ingest.probe import probe_shared_subscription
from ingest.probe_client import TOPICS, Connack, ProbeSession, end_session

OFFLINE_MESSAGES: Final = 1_500
"""Published while a session is away: more than the 1,000 that mosquitto keeps unless told otherwise."""
WINDOW_LEAST: Final = 200
"""Fewer messages under way than this, and batches stay small whatever waits."""
PAYLOAD_BYTES: Final = 64 * 1024
"""The largest message that Streetwarden reads."""

_EACH_WITHIN_S: Final = 20.0
_LIGHT_WITHIN_S: Final = 2.0
_QUIET_S: Final = 0.4
"""After so long without a message nothing more will come; the light look has time for a few of these."""
_NEVER: Final = 0xFFFFFFFF


class Verdict(StrEnum):
    """What came of a requirement."""

    OK = "ok"
    BROKEN = "broken"
    LIMIT = "limit"
    """Not given, and only needed by whoever wants more than one worker, or names with spaces."""
    UNSEEN = "cannot be seen"


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement."""

    requirement: str
    """Stable short name."""
    needed: str
    seen: str
    verdict: Verdict
    remedy: str = ""
    """What to set; empty where nothing is to be done."""


async def check_broker(broker: BrokerAddress, name: str, protocol: Protocol, *, light: bool = False) -> list[Finding]:
    """Try everything that can be seen from outside; ``light`` takes two seconds at most, and leaves the slow part out.

    ``name`` begins our client ids and topics, so that what an interrupted check left behind is ended by the next one.

    Raises:
        UnavailableError: the broker cannot be reached, or does not let us in.
    """
    return await asyncio.to_thread(lambda: list(_Check(broker, name, protocol, light=light).run()))


class _Check:
    """One check, with the sessions that it opens."""

    def __init__(self, broker: BrokerAddress, name: str, protocol: Protocol, *, light: bool) -> None:
        self._broker = broker
        self._keeper = f"{name}-probe"
        """The session that goes away and comes back."""
        self._other = f"{name}-prober"
        self._topic = f"{TOPICS}/{name}/{secrets.token_hex(4)}"
        self._asked = protocol
        self._spoken = Protocol.V311
        self._light = light
        self._ends = time.monotonic() + _LIGHT_WITHIN_S

    def run(self) -> Iterator[Finding]:
        """Every finding, the cheap ones first."""
        answers = {protocol: self._hello(protocol) for protocol in (Protocol.V311, Protocol.V5)}
        yield self._protocol(answers)
        yield from _told_over_5(answers[Protocol.V5])
        echo = self._tried("echo", "we may publish and read below our own topic", self._echo)
        yield echo
        if echo.verdict is not Verdict.OK:
            yield Finding("rest", "the rest of the contract", "nothing without that", Verdict.UNSEEN, echo.remedy)
            return
        yield from self._away()
        yield self._tried("payload", "a payload of 64 KiB goes through", self._payload)
        if not self._light:
            yield self._tried("retained", "a retained message is kept", self._retained)
            yield self._tried("shared", "a shared subscription delivers (more than one worker)", self._shared)
            yield self._tried("spaces", "a topic may hold a space (names of other vendors)", self._spaces)
            yield Finding(
                "disk",
                "what it acknowledged is on disk",
                "a broker does not tell",
                Verdict.UNSEEN,
                "mosquitto: persistence true, and end it by SIGTERM; NATS: jetstream with a store_dir",
            )

    @property
    def _deadline(self) -> float:
        return self._ends if self._light else time.monotonic() + _EACH_WITHIN_S

    def _session(self, client_id: str, *, clean: bool = True) -> ProbeSession:
        return ProbeSession(self._broker, client_id, self._spoken, clean=clean)

    def _hello(self, protocol: Protocol) -> Connack:
        """How it answers to one version, asked for a session that never ends."""
        deadline = self._deadline
        with ProbeSession(self._broker, self._keeper, protocol, clean=False) as session:
            answer = session.connect(deadline)
        if answer.accepted:
            end_session(self._broker, self._keeper, protocol, deadline)
        return answer

    def _protocol(self, answers: dict[Protocol, Connack]) -> Finding:
        spoken = [protocol for protocol, answer in answers.items() if answer.accepted]
        if not spoken:
            reason = answers[Protocol.V311].reason
            raise UnavailableError(f"the broker at {self._broker} refused the connection: {reason}")
        wanted = [protocol for protocol in spoken if self._asked in {Protocol.AUTO, protocol}]
        self._spoken = (wanted or spoken)[0]
        seen = " and ".join({Protocol.V311: "3.1.1", Protocol.V5: "5"}[protocol] for protocol in spoken)
        return Finding(
            "protocol",
            "it speaks the MQTT that we are set to",
            seen,
            Verdict.OK if wanted else Verdict.BROKEN,
            "" if wanted else "STREETWARDEN_MQTT_PROTOCOL=auto",
        )

    def _tried(self, requirement: str, needed: str, trial: Callable[[float], tuple[str, Verdict, str]]) -> Finding:
        """One trial within its time; what hinders it hides the answer and breaks nothing."""
        try:
            seen, verdict, remedy = trial(self._deadline)
        except UnavailableError as error:
            seen, verdict, remedy = str(error), Verdict.UNSEEN, ""
        return Finding(requirement, needed, seen, verdict, "" if verdict is Verdict.OK else remedy)

    def _echo(self, deadline: float) -> tuple[str, Verdict, str]:
        remedy = f"grant this user reading and writing below {TOPICS}/"
        with self._session(self._other) as session:
            session.connect(deadline)
            if not session.subscribe(f"{self._topic}/echo", deadline):
                return "the subscription was refused", Verdict.UNSEEN, remedy
            session.publish(f"{self._topic}/echo", [b"1"], deadline)
            if session.pump(lambda: bool(session.heard), min(deadline, time.monotonic() + 5.0)):
                return "it came back", Verdict.OK, ""
        return "it did not come back", Verdict.UNSEEN, remedy

    def _away(self) -> Iterator[Finding]:
        """Let a session go away while messages come: is it known afterwards, how many come at once, do all come."""
        sent = [str(number).encode() for number in range(WINDOW_LEAST if self._light else OFFLINE_MESSAGES)]
        try:
            taken, known, window, heard = self._return_after(sent, self._deadline)
        except UnavailableError as error:
            yield Finding("session", "a session is kept while we are away", str(error), Verdict.UNSEEN)
            return
        finally:
            with suppress(UnavailableError):
                end_session(self._broker, self._keeper, self._spoken, time.monotonic() + _LIGHT_WITHIN_S)
        yield _kept(known=known)
        if taken < len(sent):
            seen = f"it took {taken:,} of {len(sent):,} messages in time"
            yield Finding("queue", "messages wait for a session that is away", seen, Verdict.UNSEEN)
            return
        yield _wide_enough(window, heard, len(sent))
        if not self._light:
            yield _queued(heard, len(sent))

    def _return_after(self, sent: list[bytes], deadline: float) -> tuple[int, bool, int, int]:
        """How many the broker took, whether it knew the session, how many came unacknowledged, how many in all."""
        topic = f"{self._topic}/away"
        end_session(self._broker, self._keeper, self._spoken, deadline)
        with self._session(self._keeper, clean=False) as leaving:
            leaving.connect(deadline)
            leaving.subscribe(topic, deadline)
        with self._session(self._other) as publisher:
            publisher.connect(deadline)
            taken = publisher.publish(topic, sent, deadline)
        with self._session(self._keeper, clean=False) as back:
            known = back.connect(deadline).session_present
            window = back.settle(_QUIET_S, deadline)
            done = 0
            while time.monotonic() < deadline and len(back.heard) < len(sent):
                for message in back.heard[done:]:
                    back.acknowledge(message)
                done = len(back.heard)
                if back.settle(_QUIET_S, deadline) == done:
                    break
            return taken, known, window, len({message.payload for message in back.heard})

    def _payload(self, deadline: float) -> tuple[str, Verdict, str]:
        with self._session(self._other) as session:
            session.connect(deadline)
            session.subscribe(f"{self._topic}/payload", deadline)
            session.publish(f"{self._topic}/payload", [b"x" * PAYLOAD_BYTES], deadline)
            if session.pump(lambda: bool(session.heard), min(deadline, time.monotonic() + 5.0)):
                return "it came back", Verdict.OK, ""
            hung_up = not session.connected
        if self._light and not hung_up:
            return "it did not come back in time", Verdict.UNSEEN, ""
        seen = "the broker hung up" if hung_up else "it did not come back"
        return seen, Verdict.BROKEN, "mosquitto: max_packet_size; NATS: max_payload; EMQX: mqtt.max_packet_size"

    def _retained(self, deadline: float) -> tuple[str, Verdict, str]:
        topic = f"{self._topic}/retained"
        with self._session(self._other) as publisher, self._session(f"{self._other}-2") as late:
            publisher.connect(deadline)
            publisher.publish(topic, [b"1"], deadline, retain=True)
            late.connect(deadline)
            late.subscribe(topic, deadline)
            kept = late.pump(lambda: bool(late.heard), min(deadline, time.monotonic() + 3.0))
            publisher.publish(topic, [b""], deadline, retain=True)
        if kept:
            return "a later subscriber got it", Verdict.OK, ""
        return (
            "a later subscriber got nothing",
            Verdict.BROKEN,
            "mosquitto: retain_available true; EMQX: retainer.enable",
        )

    def _shared(self, deadline: float) -> tuple[str, Verdict, str]:
        if probe_shared_subscription(self._broker, min(3.0, deadline - time.monotonic()), self._spoken):
            return "each message came to one of two members", Verdict.OK, ""
        return "not every message came", Verdict.LIMIT, "keep to one worker, or take mosquitto or EMQX"

    def _spaces(self, deadline: float) -> tuple[str, Verdict, str]:
        with self._session(self._other) as session:
            session.connect(deadline)
            session.subscribe(f"{self._topic}/spaces/+", deadline)
            session.publish(f"{self._topic}/spaces/a b", [b"1"], min(deadline, time.monotonic() + 3.0))
            if session.pump(lambda: bool(session.heard), min(deadline, time.monotonic() + 3.0)):
                return "it came back", Verdict.OK, ""
            seen = "it did not come back" if session.connected else "the broker hung up"
        return seen, Verdict.LIMIT, "name nothing with a space, or take mosquitto or EMQX"


def _told_over_5(answer: Connack) -> Iterator[Finding]:
    """What CONNACK says of itself over MQTT 5; a property left out means the best that there is."""
    if not answer.accepted:
        yield Finding("announced", "what CONNACK announces over MQTT 5", "it does not speak MQTT 5", Verdict.UNSEEN)
        return
    told = answer.properties
    expiry = told.get("SessionExpiryInterval", _NEVER)
    yield _announced(
        "expiry",
        "a session never expires",
        "never" if expiry == _NEVER else f"after {expiry:,} s",
        good=expiry == _NEVER,
        remedy="mosquitto: no persistent_client_expiration; EMQX: mqtt.session_expiry_interval",
    )
    qos = told.get("MaximumQoS", 2)
    yield _announced(
        "qos", "QoS 1", f"up to {qos}", good=qos >= 1, remedy="mosquitto: max_qos; EMQX: mqtt.max_qos_allowed"
    )
    yield _announced(
        "retain",
        "retained messages",
        "available" if told.get("RetainAvailable", 1) else "not available",
        good=bool(told.get("RetainAvailable", 1)),
        remedy="mosquitto: retain_available true; EMQX: mqtt.retain_available",
    )
    largest = told.get("MaximumPacketSize")
    yield _announced(
        "packet",
        "packets of more than 64 KiB",
        "no limit" if largest is None else f"up to {largest:,} bytes",
        good=largest is None or largest > PAYLOAD_BYTES + 1024,
        remedy="mosquitto: max_packet_size; EMQX: mqtt.max_packet_size",
    )
    shared = told.get("SharedSubscriptionAvailable", 1)
    yield Finding(
        "shared_announced",
        "shared subscriptions (more than one worker)",
        "announced" if shared else "announced as missing",
        Verdict.OK if shared else Verdict.LIMIT,
        "" if shared else "EMQX: mqtt.shared_subscription",
    )
    receive = told.get("ReceiveMaximum", 65_535)
    yield Finding("receive_maximum", "publishers may have some under way", f"{receive:,} at once", Verdict.OK)


def _announced(requirement: str, needed: str, seen: str, *, good: bool, remedy: str) -> Finding:
    return Finding(requirement, needed, seen, Verdict.OK if good else Verdict.BROKEN, "" if good else remedy)


def _kept(*, known: bool) -> Finding:
    return _announced(
        "session",
        "a session is kept while we are away",
        "session present = 1" if known else "session present = 0",
        good=known,
        remedy="mosquitto: no persistent_client_expiration; EMQX: mqtt.session_expiry_interval",
    )


def _wide_enough(window: int, heard: int, sent: int) -> Finding:
    needed = f"{WINDOW_LEAST} messages under way at once, better 4,000"
    if window < WINDOW_LEAST and heard == window:
        # Nothing more came when these were acknowledged: they were late or lost, and the window did not hold them back.
        return Finding("window", needed, f"{window:,} came in time", Verdict.UNSEEN)
    return _announced(
        "window",
        needed,
        f"at least {window:,}" if window >= sent else f"{window:,}",
        good=window >= WINDOW_LEAST,
        remedy="mosquitto: max_inflight_messages 4000; NATS: mqtt.max_ack_pending; EMQX: mqtt.max_inflight",
    )


def _queued(heard: int, sent: int) -> Finding:
    return _announced(
        "queue",
        "messages wait for a session that is away, however many",
        f"{heard:,} of {sent:,} came",
        good=heard >= sent,
        remedy="mosquitto: max_queued_messages 0; EMQX: mqtt.max_mqueue_len = infinity",
    )
