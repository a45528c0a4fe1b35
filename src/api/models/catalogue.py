"""Kinds, rules and health over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from devices.kind import DeviceKind
from devices.kind import Fault as KindFault
from devices.kind import Measure as KindMeasure


class Measure(BaseModel):
    """One quantity a kind of device reports."""

    name: str = Field(examples=["tilt_deg"])
    title: str
    title_zh: str = Field(examples=["倾斜角"])
    unit: str = Field(examples=["°"])
    boolean: bool
    low: float | None = Field(description="Smallest physically possible value; null for booleans.")
    high: float | None

    @classmethod
    def of(cls, measure: KindMeasure) -> Self:
        """Shape one measure."""
        return cls(
            name=measure.name,
            title=measure.title,
            title_zh=measure.title_zh,
            unit=measure.unit,
            boolean=measure.boolean,
            low=None if measure.boolean else measure.low,
            high=None if measure.boolean else measure.high,
        )


class Fault(BaseModel):
    """One way in which a device or its asset fails, as the simulator plays it."""

    key: str = Field(examples=["opened"])
    title: str
    title_zh: str
    values: Mapping[str, float | bool]
    silent: bool
    raises: list[str] = Field(description="Rules that fire.", examples=[["manhole.open"]])

    @classmethod
    def of(cls, fault: KindFault) -> Self:
        """Shape one fault."""
        return cls(
            key=fault.key,
            title=fault.title,
            title_zh=fault.title_zh,
            values=fault.values,
            silent=fault.silent,
            raises=list(fault.raises),
        )


class KindSummary(BaseModel):
    """A kind of device."""

    key: str = Field(examples=["manhole"])
    title: str = Field(examples=["Manhole cover"])
    title_zh: str = Field(examples=["井盖"])
    interval_s: float = Field(description="Expected seconds between two reports.")
    component_class: str | None = Field(description="部件小类, four digits, 2013 style.")
    measures: list[Measure]

    @classmethod
    def of(cls, kind: DeviceKind) -> Self:
        """Shape one kind."""
        return cls(**_summary(kind))


class Kind(KindSummary):
    """A kind of device with its default rules and faults."""

    rules: list[Mapping[str, Any]]
    faults: list[Fault]

    @classmethod
    def whole(cls, kind: DeviceKind) -> Self:
        """Shape one kind with all that belongs to it."""
        return cls(
            **_summary(kind),
            rules=[rule.as_data() for rule in kind.rules],
            faults=[Fault.of(fault) for fault in kind.faults],
        )


class Kinds(BaseModel):
    """Every kind."""

    items: list[KindSummary]


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Coverage(BaseModel):
    """How far one worker has heard its own heartbeats on one source."""

    source: str
    worker: str
    since: datetime
    until: datetime
    age_s: float = Field(description="Seconds since the last heartbeat.")
    heard: bool = Field(description="Whether that is recent; else an outage is open.")


class Outage(BaseModel):
    """A time in which nothing could reach us."""

    source: str
    worker: str
    cause: str
    began: datetime
    ended: datetime


class IngestWorker(BaseModel):
    """One session at the broker, and whether its worker does its work."""

    worker: str
    state: Literal["active", "ended", "draining"] = Field(
        description="`ended`: in good order; its session waits. `draining`: its session is worked off and then ended."
    )
    connected: bool = Field(description="Its worker said within the last seconds that it is connected to the broker.")
    heard: bool = Field(description="Its heartbeats came back recently, over every source.")


class Ready(BaseModel):
    """Whether this process can serve, and whether messages reach the service."""

    status: Literal["ready", "not_ready"]
    database: bool
    schema_current: bool
    ingest_heard: bool = Field(description="Whether every worker has heard every source recently.")
    workers: list[IngestWorker] = Field(description="Every session that the broker keeps for the service.")
    coverage: list[Coverage]
    outages: list[Outage] = Field(description="Those that ended in the last 24 hours.")
    rule_files_refused: list[str] = Field(description="Rule files of which nothing is taken; `/v1/rules` says why.")


def _summary(kind: DeviceKind) -> dict[str, Any]:
    return {
        "key": kind.key,
        "title": kind.title,
        "title_zh": kind.title_zh,
        "interval_s": kind.interval_s,
        "component_class": kind.component_class,
        "measures": [Measure.of(measure) for measure in kind.measures],
    }
