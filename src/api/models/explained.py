"""How one rule of a device stood at a moment, over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Self

from pydantic import BaseModel, Field

from api.explained import Moment
from api.models.alerts import Muted
from api.models.device_rules import RuleState
from domain.alert import Severity
from domain.alert import Standing as AlertStanding
from rules.retrace import Outcome
from rules.rule import Verdict
from store.moments import AlertThen

_WHY: Final = (
    "tilt_deg was 12 at 2026-11-22T10:00:20Z: no level is reached. Major: it was bad for 20 s of the 30 s hold; at "
    "2026-11-22T10:00:20Z a reading (tilt_deg 12), between limit and clear level, ended it: the next bad one begins "
    "the hold anew."
)


class LevelVerdict(BaseModel):
    """What a reading said of one level."""

    severity: Severity
    verdict: Verdict = Field(description="`bad`: reached; `keep`: between limit and clear level; `good`.")


class ReadingThen(BaseModel):
    """One reading that concerned the rule."""

    at: datetime = Field(description="Event time.")
    received_at: datetime = Field(description="Later than the moment: nobody knew of it then.")
    values: Mapping[str, float | bool] = Field(description="Of the rule's measures.")
    verdicts: list[LevelVerdict]
    flags: Mapping[str, str] = Field(description="Values that were not judged, and why.")
    not_judged: str | None = Field(description="Why nothing of it was judged.")


class Happening(BaseModel):
    """One thing that happened to the rule."""

    at: datetime
    what: Outcome
    severity: Severity
    sentence: str


class AlertAtMoment(BaseModel):
    """An alert whose condition held then; it may have fired later."""

    id: int
    onset: datetime
    fired_at: datetime
    cleared_at: datetime | None
    severity: Severity
    standing: AlertStanding
    ticket: str | None
    muted: list[Muted] = Field(description="What silenced or inhibited it then.")

    @classmethod
    def of(cls, alert: AlertThen, moment: Moment) -> Self:
        """Shape one alert."""
        mutes = moment.found.mutes.get(alert.id, ())
        fields = {name: value for name, value in alert._asdict().items() if name in cls.model_fields}
        shown = [Muted(reason=one.reason, source=one.source, since=one.since, until=one.until) for one in mutes]
        return cls(**fields, muted=shown)


class RuleAtMoment(BaseModel):
    """One rule of a device at a moment: what it saw, how it came there, and what followed (规则解释)."""

    device: str = Field(examples=["mh-0815"])
    at: datetime
    why: str = Field(examples=[_WHY])
    state: RuleState = Field(description="As `/v1/devices/{name}/rules` tells it of the present.")
    readings: list[ReadingThen] = Field(description="The last ones up to the moment, oldest first.")
    happened: list[Happening]
    alerts: list[AlertAtMoment]
    whole: bool = Field(description="false: the rule was never calm in what was looked at, so its past may differ.")

    @classmethod
    def of(cls, moment: Moment, at: datetime, revision: int | None) -> Self:
        """Shape it."""
        return cls(
            device=moment.found.device.name,
            at=at,
            why=moment.why,
            state=RuleState.of(moment.rule, at, moment.found, moment.book, revision),
            readings=[
                ReadingThen(
                    at=look.at,
                    received_at=look.received_at,
                    values=look.values,
                    verdicts=[LevelVerdict(severity=severity, verdict=verdict) for severity, verdict in look.verdicts],
                    flags=look.flags,
                    not_judged=look.not_judged,
                )
                for look in moment.looks
            ],
            happened=[Happening(**one._asdict()) for one in moment.happened],
            alerts=[AlertAtMoment.of(alert, moment) for alert in moment.alerts],
            whole=moment.whole,
        )
