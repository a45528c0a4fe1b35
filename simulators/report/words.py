"""Words of a report: figures as people read them, and the titles of faults, kinds and rules in both languages."""

from collections.abc import Mapping
from typing import Final

from devices.catalogue import load_kinds
from simulators.faultbook.catalogue import load_faultbook
from simulators.faultbook.network import NETWORK

NOTHING: Final = "–"
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_WHOLE: Final = 100.0
"""From here on seconds are told without a decimal."""


def share(value: float | None) -> str:
    """A share in percent; rounded down, so that 100 % means all."""
    if value is None:
        return NOTHING
    return f"{int(value * 1000) / 10:.1f} %"


def span(seconds: float | None) -> str:
    """A duration in the unit that suits it."""
    if seconds is None:
        return NOTHING
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.1f} s" if seconds < _WHOLE else f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.1f} min"
    if seconds < 2 * _DAY_S:
        return f"{seconds / _HOUR_S:.1f} h"
    return f"{seconds / _DAY_S:.1f} d"


def count(number: int) -> str:
    """A count; what did not happen stays quiet."""
    return f"{number:,}" if number else NOTHING


def titles() -> Mapping[str, tuple[str, str]]:
    """English and Chinese title of every kind, rule and fault that can be played, by key; faults come before rules."""
    kinds = load_kinds()
    found: dict[str, tuple[str, str]] = {NETWORK: ("Network", "网络")}
    for kind in kinds.values():
        found[kind.key] = (kind.title, kind.title_zh)
        found |= {rule.key: (rule.title, rule.title_zh) for rule in kind.rules}
    return found | {
        line.name: (line.entry.title, line.entry.title_zh) for line in load_faultbook(kinds.values()).values()
    }
