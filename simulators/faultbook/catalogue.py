"""All that can go wrong, by name: the tables of the kinds, what befalls every device, and what befalls the network."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from simulators.faultbook import any_device, network, tables
from simulators.faultbook.entry import FaultEntry, of_kind
from simulators.faultbook.network import NETWORK


class Listed(NamedTuple):
    """A line of the book and whom it concerns."""

    name: str
    """``manhole.opened``, ``network.gateway_out``."""
    kind: DeviceKind | None
    """``None``: devices of every kind."""
    entry: FaultEntry


def load_faultbook(kinds: Iterable[DeviceKind]) -> Mapping[str, Listed]:
    """Everything that can be played on devices of these kinds, by name."""
    found = {module.name for module in pkgutil.iter_modules(tables.__path__)}
    listed: list[Listed] = []
    for kind in kinds:
        own: tuple[FaultEntry, ...] = ()
        if kind.key in found:
            own = importlib.import_module(f"{tables.__name__}.{kind.key}").TABLE
        told = {entry.key for entry in own}
        rest = tuple(of_kind(fault) for fault in kind.faults if fault.key not in told)
        listed += [Listed(f"{kind.key}.{entry.key}", kind, entry) for entry in (*own, *rest, *any_device.TABLE)]
    listed += [Listed(f"{NETWORK}.{entry.key}", None, entry) for entry in network.TABLE]
    return {line.name: line for line in listed}


def find_listed(book: Mapping[str, Listed], name: str, kind: str | None = None) -> Listed:
    """The line called so; of a device of a known kind, its kind may be left out.

    Raises:
        InvalidInputError: there is none; the message lists those there are.
    """
    for full in (name, f"{kind}.{name}", f"{NETWORK}.{name}"):
        line = book.get(full)
        if line is not None and (kind is None or line.kind is None or line.kind.key == kind):
            return line
    there = [line.name for line in book.values() if kind is None or line.kind is None or line.kind.key == kind]
    raise InvalidInputError(f"there is no fault {name!r}; there are {', '.join(there)}")
