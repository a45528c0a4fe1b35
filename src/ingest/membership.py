"""Membership: how one worker takes part in the stream, alone or in a group, and where its heartbeats travel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ingest.format import Format

GROUP: Final = "streetwarden"
"""Name of the shared subscription: the broker gives each message to one of its members."""

_HEARTBEATS: Final = "streetwarden/heartbeat"
"""Below no format's filter: a heartbeat that travelled with the messages would be given to any member of the group."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What one session subscribes to."""

    client_id: str
    shared: bool
    filters: tuple[str, ...]
    heartbeats: Mapping[str, str]
    """Heartbeat topic → source."""
    unwanted: tuple[str, ...] = ()
    """Filters under which the session may still stand from an earlier start; it gives them up."""

    def giving_up(self, filters: Iterable[str]) -> "Membership":
        """The same, and these filters are given up as well, as far as they are not wanted."""
        unwanted = dict.fromkeys((*self.unwanted, *filters))
        kept = tuple(name for name in unwanted if name not in self.filters)
        return Membership(self.client_id, self.shared, self.filters, self.heartbeats, kept)


def alone(client_id: str, formats: Mapping[str, Format]) -> Membership:
    """One worker has the whole stream; each source's heartbeat travels among its messages."""
    heartbeats = {form.heartbeat_topic(client_id): name for name, form in formats.items()}
    plain = _filters(formats)
    return Membership(client_id, shared=False, filters=plain, heartbeats=heartbeats).giving_up(
        (*_shared(plain), _own_heartbeats(client_id))
    )


def in_group(client_id: str, formats: Mapping[str, Format]) -> Membership:
    """One of several workers: the messages are shared, the heartbeats are each worker's own.

    Both lie in one queue of one session, so a heartbeat that came back says that what the broker had given to this
    session before it has been read.
    """
    plain = _filters(formats)
    filters = (*_shared(plain), _own_heartbeats(client_id))
    return Membership(client_id, shared=True, filters=filters, heartbeats=_private(client_id, formats)).giving_up(plain)


def leaving_group(client_id: str, formats: Mapping[str, Format]) -> Membership:
    """A member that takes nothing new and works off what its session holds."""
    plain = _filters(formats)
    own = (_own_heartbeats(client_id),)
    return Membership(client_id, shared=True, filters=own, heartbeats=_private(client_id, formats)).giving_up(
        (*_shared(plain), *plain)
    )


def _filters(formats: Mapping[str, Format]) -> tuple[str, ...]:
    return tuple(name for form in formats.values() for name in form.filters)


def _shared(filters: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"$share/{GROUP}/{name}" for name in filters)


def _own_heartbeats(client_id: str) -> str:
    return f"{_HEARTBEATS}/{client_id}/+"


def _private(client_id: str, formats: Mapping[str, Format]) -> dict[str, str]:
    return {f"{_HEARTBEATS}/{client_id}/{name}": name for name in formats}
