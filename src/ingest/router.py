"""Router: which source reads a topic, remembered per topic, so that a topic is taken apart once."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ingest.format import Address, Format

_REMEMBERED: Final = 100_000
"""Topics kept; when full the memory starts anew. About 400 bytes a topic, so 40 MB at the most."""

_LONGEST_REMEMBERED: Final = 256
"""Characters; a topic may have 65,535, and remembering such ones would be an attacker's way to our memory."""


class Route(NamedTuple):
    """A topic's source and what the topic alone tells."""

    format: Format
    address: Address


class Router:
    """Finds the source of a topic."""

    def __init__(self, formats: Mapping[str, Format]) -> None:
        """Take the formats by name; the first that recognises a topic reads it."""
        self._formats = tuple(formats.values())
        self._routes: dict[str, Route | None] = {}

    def route(self, topic: str) -> Route | None:
        """The source of this topic, or ``None`` if no source reads it."""
        try:
            return self._routes[topic]
        except KeyError:
            pass
        if len(self._routes) >= _REMEMBERED:
            self._routes.clear()
        found: Route | None = None
        for candidate in self._formats:
            address = candidate.read_topic(topic)
            if address is not None:
                found = Route(candidate, address)
                break
        if len(topic) <= _LONGEST_REMEMBERED:
            self._routes[topic] = found
        return found
