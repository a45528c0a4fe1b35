"""Rules over HTTP: as they stand, as they were, and what those in shadow came to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from domain.alert import Severity, Standing
from store.registry_views import RevisionRow
from store.rule_book import BookChange, RefusedFile
from store.shadow_alerts import ShadowAlertRow, ShadowCount

_RULE: Final[JsonDict] = {
    "key": "manhole.steep",
    "kind": "threshold",
    "title": "Cover very steep",
    "title_zh": "井盖陡倾",
    "case_class": "0101-1",
    "condition": {
        "measure": "tilt_deg",
        "levels": [{"severity": "major", "limit": 30, "clear": 25, "hold_s": 10}],
    },
}

Source = Literal["default", "file", "api", "command"]
_REASON: Final = Field(
    default="", max_length=500, pattern=r"^[^\x00]*$", description="Stands in the history.", examples=["trial in June"]
)


class RuleInForce(BaseModel):
    """A rule as it stands now."""

    key: str = Field(examples=["manhole.tilt"])
    kind: str = Field(description="Of device; `group` for a rule over several.", examples=["manhole"])
    enabled: bool = Field(description="False: switched off; it judges nothing, nor does a default with its key.")
    shadow: bool = Field(description="On trial (试运行): judged and counted, and nothing of it is shown.")
    source: Source = Field(description="Where it comes from: with the service, or who wrote it last.")
    file: str | None = Field(description="Name of the rule file it was read from.")
    author: str | None = Field(description="Who wrote it; null for a default.")
    updated_at: datetime | None
    digest: str = Field(description="Of its revision; the `ETag` of the rule.", examples=["5f0c2e9a7d1b4c38"])
    revision: int | None = Field(description="The number alerts name; null for a default that ingest never ran with.")
    since: datetime | None = Field(description="When this form was first seen.")
    body: Mapping[str, Any] = Field(description="The form that its revision is made of, with severities as numbers.")


class RefusedRuleFile(BaseModel):
    """A file of the rule folder of which nothing is taken; what it said before stays in force."""

    file: str = Field(examples=["own.yaml"])
    since: datetime
    complaints: list[str] = Field(description="Each with file, line, and what was expected.")

    @classmethod
    def of(cls, row: RefusedFile) -> Self:
        """Shape one row."""
        return cls(**row._asdict())


class RulesInForce(BaseModel):
    """Every rule."""

    items: list[RuleInForce]
    refused_files: list[RefusedRuleFile]


class ShadowTally(BaseModel):
    """What a rule in shadow came to so far."""

    alerts: int = Field(description="That the readings in order bear out.")
    firing: int
    devices: int = Field(description="On how many devices.")

    @classmethod
    def of(cls, count: ShadowCount) -> Self:
        """Shape the counts."""
        return cls(**count._asdict())


class RuleDetail(RuleInForce):
    """One rule, as a rule file tells it too."""

    rule: Mapping[str, Any] = Field(description="As a rule file tells it, complete.", examples=[_RULE])
    default: Mapping[str, Any] | None = Field(description="The default with its key, whether in force or not.")
    shadow_alerts: ShadowTally = Field(description="What it came to in shadow, now or earlier.")


class NewRule(BaseModel):
    """A rule as it shall be."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"rule": _RULE, "reason": "covers tilt before they fall"}}
    )

    rule: dict[str, Any] = Field(description="As a rule file tells it; `key` may be left out.")
    reason: str = _REASON


class Restoring(BaseModel):
    """Which earlier form of a rule shall be in force again."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(pattern=r"^[0-9a-f]{16}$", description="Of the revision, as the history names it.")
    reason: str = _REASON


class RuleChange(BaseModel):
    """One thing that was done to a rule."""

    at: datetime
    author: str
    source: Literal["file", "api", "command"]
    file: str | None
    from_digest: str | None = Field(description="Null: it was not in the book.")
    to_digest: str | None = Field(description="Null: removed.")
    reason: str
    rule: Mapping[str, Any] | None = Field(description="As it was written then.")

    @classmethod
    def of(cls, row: BookChange) -> Self:
        """Shape one row."""
        fields = row._asdict()
        del fields["id"], fields["key"]
        document = fields.pop("document")
        return cls(**fields, rule=None if document is None else orjson.loads(document))


class RuleRevision(BaseModel):
    """One form that a rule has had, also on a single device with parameters of its own."""

    key: str
    digest: str
    revision: int = Field(description="The number alerts name.")
    since: datetime = Field(description="When this form was first seen.")
    body: Mapping[str, Any]

    @classmethod
    def of(cls, row: RevisionRow, body: bytes) -> Self:
        """Shape one row."""
        return cls(key=row.key, digest=row.digest, revision=row.id, since=row.created_at, body=orjson.loads(body))


class ShadowAlert(BaseModel):
    """What a rule in shadow would have raised."""

    id: int
    device: str
    onset: datetime
    fired_at: datetime
    decided_at: datetime
    cleared_at: datetime | None
    severity: Severity
    peak: Severity
    standing: Standing
    retrospective: bool
    measure: str | None
    value: float | bool | None = Field(description="The value that decided.")
    reading_at: datetime | None = Field(description="Event time of the reading that decided.")
    received_at: datetime | None = Field(description="When that reading was received.")
    digest: str = Field(description="Of the rule's revision.")

    @classmethod
    def of(cls, row: ShadowAlertRow) -> Self:
        """Shape one row."""
        fields = row._asdict()
        value = fields.pop("value")
        return cls(**fields, digest=fields.pop("revision"), value=None if value is None else orjson.loads(value))
