"""All device kinds and all group rules by key, found by listing their folders."""

from collections.abc import Mapping

from devices import groups, kinds
from devices.kind import DeviceKind
from domain.catalogue import gather
from rules.rule import Rule


def load_kinds() -> Mapping[str, DeviceKind]:
    """Return every device kind by its key.

    Raises:
        TypeError: a file of the folder offers no ``KIND``.
    """
    return {offer.key: offer for offer in gather(kinds, "KIND", DeviceKind).values()}


def load_group_rules() -> Mapping[str, Rule]:
    """Return every rule over several devices by its key.

    Raises:
        TypeError: a file of the folder offers no ``RULE``.
    """
    return {offer.key: offer for offer in gather(groups, "RULE", Rule).values()}
