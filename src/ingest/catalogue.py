"""All payload formats by name, found by listing their folder."""

from collections.abc import Mapping

from domain.catalogue import gather
from ingest import formats
from ingest.format import Format


def load_formats() -> Mapping[str, Format]:
    """Return every format by its name.

    Raises:
        TypeError: a file of the folder offers no ``FORMAT``.
    """
    return {offer.name: offer for offer in gather(formats, "FORMAT", Format).values()}  # type: ignore[type-abstract]  # a protocol is the promise here
