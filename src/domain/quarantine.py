"""Quarantine and re-drive: in which state a message set aside is, and how far settling it again has come."""

from enum import StrEnum


class HoldState(StrEnum):
    """What has become of a message that was set aside."""

    HELD = "held"
    """It lies there."""
    REDRIVEN = "redriven"
    """It was settled again and came to rest elsewhere; the row remains as a trace."""
    EXPIRED = "expired"
    """Its time was up: bytes and receipt times are gone, the row remains as a trace."""


class RedriveState(StrEnum):
    """How far a re-drive (重新处理) has come."""

    QUEUED = "queued"
    """No ingest worker has begun yet."""
    RUNNING = "running"
    DONE = "done"
