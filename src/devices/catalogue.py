"""All device kinds by key, found by listing their folder."""

from collections.abc import Mapping

from devices import kinds
from devices.kind import DeviceKind
from domain.catalogue import gather


def load_kinds() -> Mapping[str, DeviceKind]:
    """Return every device kind by its key.

    Raises:
        TypeError: a file of the folder offers no ``KIND``.
    """
    return {offer.key: offer for offer in gather(kinds, "KIND", DeviceKind).values()}
