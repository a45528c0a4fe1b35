"""How the rules of a device stand, over HTTP."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, Field

from api.models.alerts import Muted
from domain.alert import Severity
from domain.alert import Standing as AlertStanding
from domain.device import LifeCycle
from domain.mute import Mute
from domain.scope import Scope
from rules import explain
from rules.explain import Standing
from rules.why import why
from store.device_rules import JudgedDevice, OpenAlert
from store.rule_book import BookRow
from store.rule_overrides import OverrideRow

_WHY: Final = (
    "tilt_deg was 20 at 2026-11-22T10:00:03Z (major: limit 15, held for 12 of 30 s): it fires at "
    "2026-11-22T10:00:33Z if no reading short of the limit comes before."
)


class LayerValue(BaseModel):
    """What one layer has for a parameter."""

    scope: str = Field(description="`kind`, `book` (a written rule), or a scope of overrides.", examples=["site"])
    name: str = Field(examples=["S-00012"])
    value: Any = Field(examples=[20.0])
    author: str | None = Field(description="Name of the key that set it; of a written rule, who wrote it.")
    reason: str | None


class Difference(BaseModel):
    """One parameter that some layer sets, and who prevails."""

    parameter: str = Field(description="A level's field as `major.limit`.", examples=["major.limit"])
    value: Any = Field(examples=[20.0])
    set_by: LayerValue
    weaker: list[LayerValue] = Field(description="What the weaker layers have, weakest first.")


class LeftOut(BaseModel):
    """A layer that no longer fits the rule; the weaker ones judge."""

    scope: Scope
    name: str
    parameters: Mapping[str, Any]
    why: str


class SeenReading(BaseModel):
    """The newest value of a measure, and the reading it came with."""

    measure: str = Field(examples=["tilt_deg"])
    value: float | bool = Field(examples=[20.0])
    at: datetime = Field(description="Event time.")
    received_at: datetime | None = Field(description="null: the reading is no longer kept.")
    flag: str | None = Field(description="Why it was not judged.")
    valid_until: datetime = Field(description="So long it speaks for the present.")


class Evidence(BaseModel):
    """The last reading that spoke for the alert."""

    value: float | bool
    at: datetime


class LevelState(BaseModel):
    """One level and how far it is."""

    severity: Severity
    limit: float
    clear: float | None
    hold_s: float
    keep_s: float
    state: Standing
    onset: datetime | None = Field(description="Since when it has been bad.")
    bad_at: datetime | None = Field(description="Time of the last reading that said so.")
    speaks_until: datetime | None = Field(description="A hold elapses only while that reading speaks.")
    held_s: float | None = Field(description="How much of the hold has passed.")
    fires_at: datetime | None = Field(
        description="While pending: when it fires if nothing else comes; null: without another bad reading never."
    )
    fired_at: datetime | None
    good_since: datetime | None = Field(description="Since when readings have been good, if they must be for `keep_s`.")


class Silence(BaseModel):
    """How a rule on silence stands."""

    heard_at: datetime | None
    source: str | None
    covered_since: datetime | None = Field(
        description="Since when all workers have heard the source without a break; null: it is not heard."
    )
    covered_until: datetime | None = Field(description="Silence is found up to here.")
    wait_s: float
    due_at: datetime | None = Field(description="When it fires if nothing comes.")
    firing_since: datetime | None


class AlertOfRule(BaseModel):
    """The alert that fires."""

    id: int
    severity: Severity
    onset: datetime
    fired_at: datetime
    standing: AlertStanding
    acknowledged_by: str | None
    ticket: str | None
    muted: list[Muted] = Field(description="What silenced or inhibited it: why it asks for no ticket just now.")

    @classmethod
    def of(cls, alert: OpenAlert, mutes: Sequence[Mute]) -> Self:
        """Shape one alert."""
        fields = alert._asdict()
        del fields["rule"]
        shown = [Muted(reason=mute.reason, source=mute.source, since=mute.since, until=mute.until) for mute in mutes]
        return cls(**fields, muted=shown)


class RuleState(BaseModel):
    """One rule on the device: what it is made of, what it saw, what comes next."""

    key: str = Field(examples=["manhole.tilt"])
    shadow: bool = Field(description="On trial (试运行): what it comes to is shown to nobody.")
    title: str
    title_zh: str
    kind: str = Field(description="Rule kind.", examples=["threshold"])
    revision: int | None = Field(description="The form in force; null: in this form it has raised no alert yet.")
    state: Standing
    severity: Severity | None = Field(description="The gravest level that fires.")
    onset: datetime | None
    why: str = Field(examples=[_WHY])
    alert: AlertOfRule | None
    parameters: Mapping[str, Any] = Field(description="All, as they are in force, under the names of overrides.")
    differences: list[Difference]
    left_out: list[LeftOut]
    levels: list[LevelState]
    readings: list[SeenReading]
    evidence: Evidence | None
    silence: Silence | None
    memory: Any = Field(description="What a rule over several readings keeps of those before; its form is the rule's.")

    @classmethod
    def of(
        cls, rule: explain.RuleNow, now: datetime, found: JudgedDevice, book: Sequence[BookRow], revision: int | None
    ) -> Self:
        """Shape one rule."""
        alert = next((one for one in reversed(found.alerts) if one.rule == rule.rule.slot), None)
        mutes = () if alert is None else found.mutes.get(alert.id, ())
        return cls(
            key=rule.rule.key,
            title=rule.rule.title,
            title_zh=rule.rule.title_zh,
            kind=rule.rule.condition.kind,
            shadow=rule.rule.shadow,
            revision=revision,
            state=rule.state,
            severity=rule.severity,
            onset=rule.onset,
            why=why(rule, now, mutes),
            alert=None if alert is None else AlertOfRule.of(alert, mutes),
            parameters=rule.parameters,
            differences=list(_differences(rule, found.overrides, book)),
            left_out=[LeftOut(**refusal.layer._asdict(), why=refusal.why) for refusal in rule.refused],
            levels=[LevelState(**level._asdict()) for level in rule.levels],
            readings=[SeenReading(**seen._asdict()) for seen in rule.seen],
            evidence=None if rule.evidence is None else Evidence(**rule.evidence._asdict()),
            silence=None if rule.silence is None else Silence(**rule.silence._asdict()),
            memory=rule.memory,
        )


class SwitchedOff(BaseModel):
    """A rule that the rule book switches off for the device's kind."""

    key: str
    author: str
    file: str | None
    since: datetime


class DeviceRules(BaseModel):
    """How every rule of a device stands at one moment."""

    device: str = Field(examples=["mh-0815"])
    kind: str
    now: datetime
    life_cycle: LifeCycle
    note: str | None = Field(description="Why nothing is judged, if that is so.")
    interval_s: float | None = Field(description="Expected seconds between two reports.")
    switched_off: list[SwitchedOff]
    rules: list[RuleState]


def name_of(row: BookRow) -> str:
    """By what people know a written rule: its file, or who wrote it."""
    return row.file or row.author


def _differences(
    rule: explain.RuleNow, overrides: Sequence[OverrideRow], book: Sequence[BookRow]
) -> Iterable[Difference]:
    key = rule.rule.key
    told: dict[tuple[str, str], tuple[str, str | None]] = {
        (one.scope.value, one.name): (one.author, one.reason) for one in overrides if one.rule == key
    }
    told |= {(explain.BOOK, name_of(row)): (row.author, None) for row in book if row.key == key}

    def value(setting: explain.Setting) -> LayerValue:
        author, reason = told.get((setting.scope, setting.name), (None, None))
        return LayerValue(**setting._asdict(), author=author, reason=reason)

    for one in rule.differences:
        yield Difference(
            parameter=one.parameter,
            value=one.value,
            set_by=value(one.set_by),
            weaker=[value(setting) for setting in one.weaker],
        )
