"""All rule kinds by name, found by listing their folder."""

from collections.abc import Mapping

from domain.catalogue import gather
from rules import kinds
from rules.rule import Condition


def load_rule_kinds() -> Mapping[str, type[Condition]]:
    """Return every rule kind by its name.

    Raises:
        TypeError: a file of the folder offers no ``RULE_KIND``.
    """
    offers: dict[str, type[Condition]] = gather(kinds, "RULE_KIND", type)
    return {offer.kind: offer for offer in offers.values()}
