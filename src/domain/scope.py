"""Scope: who may depart from a rule, from a whole model down to one device, and to which of them a device belongs."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from domain.device import Device


class Scope(StrEnum):
    """Whose parameters; the later one prevails (越具体越优先)."""

    MODEL = "model"
    """All sensors of one make (设备型号)."""
    OWNER = "owner"
    """All assets of one owner (权属单位)."""
    GRID = "grid"
    """All in one unit grid (单元网格)."""
    CIRCUIT = "circuit"
    """All on one feeder (回路)."""
    SITE = "site"
    """All at one place (场所)."""
    DEVICE = "device"
    """One device alone."""


GROUPS: Final = tuple(scope for scope in Scope if scope is not Scope.DEVICE)
"""The scopes of many devices."""


class Group(NamedTuple):
    """Some devices that share a model, or whose assets share something."""

    scope: Scope
    name: str


def groups_of(device: Device) -> Iterator[Group]:
    """The groups that a device belongs to, weakest first."""
    for scope, name in (
        (Scope.MODEL, device.model),
        (Scope.OWNER, device.owner),
        (Scope.GRID, device.unit_grid),
        (Scope.CIRCUIT, device.circuit),
        (Scope.SITE, device.site),
    ):
        if name is not None:
            yield Group(scope, name)
