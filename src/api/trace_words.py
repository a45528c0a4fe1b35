"""A trace in words: one sentence for the answer, and one for each piece of evidence."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from api.tracing import Trace, Verdict
from store.trace_views import FoundHeld


def sentences(found: Trace) -> list[str]:
    """The answer first, then what it rests on."""
    return [answer(found), *_evidence(found)]


def answer(found: Trace) -> str:
    """Where the message is, in one sentence."""
    match found.verdict:
        case Verdict.STORED:
            return "It was received and stored."
        case Verdict.DUPLICATE:
            return "It was received, and its reading had been stored before."
        case Verdict.QUARANTINED:
            return f"It was received and set aside: {found.held[0].reason}."
        case Verdict.IGNORED:
            return "It was received, understood and ignored: such messages hold no reading."
        case Verdict.NOT_CERTAIN:
            return (
                "Nothing of it is found, but the source received messages then that leave no trace: one that is "
                "ignored (its bytes can tell), or a status that another has followed."
            )
        case Verdict.NEVER_RECEIVED:
            return _NEVER[could_hear(found)]


_NEVER: Final = {
    True: "It was never received, though we could hear.",
    False: "It was never received: we could not hear.",
    None: "It was never received; whether we could hear it then is not known.",
}


def could_hear(found: Trace) -> bool | None:
    """Whether a message of the source could reach us throughout the window; ``None``: nothing tells."""
    window, hearing = found.window, found.hearing
    if any(stretch.since <= window.since and window.until <= stretch.until for stretch in hearing.stretches):
        return True
    if hearing.gaps:
        return False
    if hearing.counted.delivered:
        return True
    return None


def _evidence(found: Trace) -> Iterator[str]:
    name = found.devices
    for reading in found.readings:
        yield (
            f"Reading of {name.get(reading.device_id)} at {_time(reading.at)}, received {_time(reading.received_at)}, "
            f"digest {reading.digest}."
        )
    for event in found.events:
        yield (
            f"Event {event.event_class} of {name.get(event.device_id)} at {_time(event.at)}, "
            f"received {_time(event.received_at)}."
        )
    for status in found.statuses:
        word = "online" if status.online else "offline"
        yield f"{name.get(status.device_id)} told at {_time(status.at)} that it is {word}."
    for alert in found.alerts:
        yield f"Alert {alert.alert_id} ({alert.rule}): {alert.step} by the reading at {_time(alert.at)}."
    for double in found.doubles:
        marked = ", which the broker had marked as sent before" if double.redelivered else ""
        yield (
            f"Received again at {_time(double.received_at)}{marked}: duplicate of the reading of "
            f"{name.get(double.device_id)} at {_time(double.at)}, digest {double.digest}."
        )
    for held in found.held:
        yield f"Quarantine {held.id}: {held.reason}: {held.detail}; {_stays(held)}."
    if found.refusal is not None:
        yield f"Sent now, it would not be accepted whole: {found.refusal}."
    yield from _heard(found)


def _stays(held: FoundHeld) -> str:
    came = f"came {held.seen} times from {_time(held.first_seen)} to {_time(held.last_seen)}"
    if held.redriven_at is not None and held.held == 0:
        return f"{came}; settled again at {_time(held.redriven_at)}"
    if held.expired_at is not None and held.held == 0:
        return f"{came}; expired at {_time(held.expired_at)}"
    return f"{came}; {held.held} receipts lie there"


def _heard(found: Trace) -> Iterator[str]:
    window, hearing = found.window, found.hearing
    for gap in hearing.gaps:
        yield (
            f"From {_time(gap.began)} to {_time(gap.ended)} nothing of the source {found.source} could reach "
            f"{gap.worker}: {gap.cause}."
        )
    for stretch in hearing.stretches:
        if stretch.since <= window.until and window.since <= stretch.until:
            yield (
                f"{stretch.worker} has heard its own heartbeats on the source {found.source} without a break from "
                f"{_time(stretch.since)} to {_time(stretch.until)}."
            )
    counted = hearing.counted
    yield (
        f"In those minutes {counted.delivered} messages of the source {found.source} were received: "
        f"{counted.accepted} accepted, {counted.quarantined} set aside, {counted.ignored} ignored, "
        f"{counted.redelivered} sent again."
    )
    if not found.exact and not found.devices:
        yield "The topic names no registered device: only its bytes can tell which readings are its own."


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
