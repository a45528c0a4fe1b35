"""The parts that the application is given, and how a route gets them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from api.registration import Vocabulary
from api.rule_desk import kinds_to_set
from api.security import KeyRing
from devices.kind import DeviceKind
from domain.clock import Clock
from ingest.normalise import TimeBounds
from store.connection import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What the API may be told; the service reads it from its settings."""

    stale_coverage: timedelta = timedelta(seconds=60)
    """A source whose own heartbeats were last heard longer ago counts as not heard."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    """The district's own time, for the days of the ledger."""
    bounds: TimeBounds = field(default_factory=lambda: TimeBounds(timedelta(minutes=5), timedelta(days=400)))
    """Which times the service believes; a trace reads a payload as the service does."""
    key_memory_s: float = 5.0
    """For how long a key once looked up is believed: a revoked key opens nothing after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a route may need, made once."""

    pool: Pool
    clock: Clock
    settings: ApiSettings
    vocabulary: Vocabulary
    keys: KeyRing

    @property
    def kinds(self) -> Mapping[str, DeviceKind]:
        """Every device kind by its key."""
        return self.vocabulary.kinds

    async def vocabulary_now(self) -> Vocabulary:
        """What registrations may name, with the rules in force now: those of the book, too."""
        return replace(self.vocabulary, kinds=await kinds_to_set(self.pool, self.kinds))


def parts_of(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsOf = Annotated[Parts, Depends(parts_of)]
