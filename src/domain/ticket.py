"""Tickets: the cases (案件) and orders (工单) that alerts become, and how they live."""

from enum import StrEnum
from typing import NamedTuple


class TicketState(StrEnum):
    """Where a ticket stands in the loop; the full 立案–派遣–处置–核查–结案 comes with the closed loop."""

    OPEN = "open"
    """立案: someone must act."""
    RESOLVED = "resolved"
    """Every alert behind it has cleared by the sensors' own word."""


class TicketSort(StrEnum):
    """Whom a ticket concerns."""

    CASE = "case"
    """A public case (案件): something in the street is wrong."""
    MAINTENANCE = "maintenance"
    """An order to the keeper of the sensor (维护工单): never a public case."""


class Move(StrEnum):
    """What was done to a ticket; every move is a record that is never changed."""

    OPENED = "opened"
    TOUCHED = "touched"
    """Another alert joined it."""
    ROSE = "rose"
    """An alert behind it became graver."""
    RESOLVED = "resolved"
    CONTRADICTED = "contradicted"
    """A late reading spoke against an alert behind it: with no other left, a person decides (待复核)."""
    REVIEWED = "reviewed"
    """A person looked at what was contradicted."""
    LINKED = "linked"
    """An alert behind it became part of an incident, which has a ticket of its own (关联)."""


class Subject(NamedTuple):
    """What a ticket is about: one asset and one class of case. At most one open ticket has it."""

    asset_id: int
    case_class: str
