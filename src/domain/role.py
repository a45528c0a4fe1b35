"""Roles of the people and programs that hold a key, and the one table of what each may do."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What the holder of a key is in the command centre."""

    VIEWER = "viewer"
    """Looks on: wall screens, other departments."""
    OPERATOR = "operator"
    """值守员: watches alerts and acknowledges them."""
    DISPATCHER = "dispatcher"
    """派遣员: sends tickets on."""
    HANDLER = "handler"
    """处置员: mends the street."""
    CHECKER = "checker"
    """核查员: looks whether it is mended."""
    ENGINEER = "engineer"
    """Adds devices, tunes rules, finds out why a message was set aside."""
    ADMIN = "admin"
    """Everything, keys included."""
    AUDITOR = "auditor"
    """Sees everything, changes nothing."""


class Permission(StrEnum):
    """One thing that a request may need."""

    READ = "read"
    """Kinds, rules, assets, devices, readings, alerts, tickets."""
    ACKNOWLEDGE = "acknowledge"
    """Take an alert on."""
    REVIEW = "review"
    """Decide on a ticket whose alerts late readings contradict."""
    SILENCE = "silence"
    """Order silences and maintenance windows, and end them."""
    CHECK_IN = "check_in"
    """Say that a crew is at work on an asset, or has left it."""
    REGISTER = "register"
    """Create and change assets, devices and fittings."""
    DIAGNOSE = "diagnose"
    """Quarantine and ledger: raw payloads may hold more than the caller should see of other organisations."""
    REDRIVE = "redrive"
    """Have what lies in quarantine settled again."""
    MANAGE_KEYS = "manage_keys"
    """Make, list and revoke keys."""


_READER: Final = frozenset({Permission.READ})
_DESK: Final = frozenset(
    {Permission.READ, Permission.ACKNOWLEDGE, Permission.REVIEW, Permission.SILENCE, Permission.CHECK_IN}
)

GRANTS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: _READER,
    Role.OPERATOR: _DESK,
    Role.DISPATCHER: _DESK,
    Role.HANDLER: _READER | {Permission.CHECK_IN},
    Role.CHECKER: _READER,
    Role.ENGINEER: _READER
    | {
        Permission.ACKNOWLEDGE,
        Permission.SILENCE,
        Permission.CHECK_IN,
        Permission.REGISTER,
        Permission.DIAGNOSE,
        Permission.REDRIVE,
    },
    Role.ADMIN: frozenset(Permission),
    Role.AUDITOR: _READER | {Permission.DIAGNOSE},
}
"""The only place that says who may do what."""


def allows(role: Role, permission: Permission) -> bool:
    """Whether a holder of ``role`` may do what needs ``permission``."""
    return permission in GRANTS[role]
