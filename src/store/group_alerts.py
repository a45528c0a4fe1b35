"""The coordinator's memory of groups: which alerts fire in each, and which incidents of it are open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Executor


class GroupAlertRow(NamedTuple):
    """An alert that stands in a group; the order of the fields is that of ``_COLUMNS``."""

    alert_id: int
    rule: str
    name: str
    part: str
    device_id: int
    kind: str
    member_rule: str
    fired_at: datetime
    interval_s: float
    circuit: str | None
    site: str | None
    grid: str | None
    longitude: float | None
    latitude: float | None
    incident_id: int | None
    hidden: bool


class OpenIncidentRow(NamedTuple):
    """An incident that is open; the order of the fields is that of ``_OPEN``."""

    id: int
    rule: str
    name: str
    part: str
    lead_alert: int
    lead_device: int
    lead_kind: str
    lead_rule: str
    lead_fired_at: datetime
    circuit: str | None
    site: str | None
    grid: str | None
    longitude: float | None
    latitude: float | None
    onset: datetime
    opened_at: datetime


_COLUMNS: Final = """
alert_id, rule, name, part, device_id, kind, member_rule, fired_at, interval_s, circuit, site, grid, longitude,
latitude, incident_id, hidden
"""

_PLACES_OF: Final = "SELECT DISTINCT rule, name, part FROM group_alert WHERE alert_id = ANY($1::bigint[])"

_KNOWN: Final = "SELECT DISTINCT alert_id FROM group_alert WHERE alert_id = ANY($1::bigint[])"

_STANDING: Final = f"""
SELECT {_COLUMNS} FROM group_alert
WHERE (rule, name, part) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
ORDER BY fired_at, alert_id
"""

_OPEN: Final = """
SELECT i.id, i.rule, i.name, i.part, i.lead_alert, i.lead_device, d.kind, a.rule, a.fired_at, s.circuit, s.site,
       s.unit_grid, s.longitude, s.latitude, i.onset, i.opened_at
FROM incident AS i
JOIN alert AS a ON a.id = i.lead_alert
JOIN device AS d ON d.id = i.lead_device
LEFT JOIN asset AS s ON s.id = a.asset_id
WHERE i.state = 'open' AND (i.rule, i.name, i.part) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
ORDER BY i.id
"""

_FORGET: Final = "DELETE FROM group_alert WHERE alert_id = ANY($1::bigint[])"

_FORGET_RULES: Final = "DELETE FROM group_alert WHERE rule <> ALL($1::text[])"

_FORGET_FREE: Final = "DELETE FROM group_alert WHERE alert_id = ANY($1::bigint[]) AND incident_id IS NULL"

_PUT: Final = f"""
INSERT INTO group_alert ({_COLUMNS})
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                     $8::timestamptz[], $9::float8[], $10::text[], $11::text[], $12::text[], $13::float8[],
                     $14::float8[], $15::bigint[], $16::boolean[])
"""

_WIDTH: Final = len(GroupAlertRow._fields)

PlaceKey = tuple[str, str, str]
"""(rule, name, part)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in some groups."""

    alerts: Sequence[GroupAlertRow]
    incidents: Sequence[OpenIncidentRow]


async def places_of(connection: Executor, alerts: Iterable[int]) -> set[PlaceKey]:
    """The groups in which these alerts stand."""
    return {(row[0], row[1], row[2]) for row in await connection.fetch(_PLACES_OF, list(alerts))}


async def standing_alerts(connection: Executor, alerts: Sequence[int]) -> set[int]:
    """Which of these alerts stand in some group."""
    return {int(row[0]) for row in await connection.fetch(_KNOWN, list(alerts))}


async def load_standing(connection: Executor, places: Iterable[PlaceKey]) -> Standing:
    """What stands in these groups."""
    keys = sorted(places)
    columns = [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
    alerts = await connection.fetch(_STANDING, *columns)
    incidents = await connection.fetch(_OPEN, *columns)
    return Standing([GroupAlertRow._make(row) for row in alerts], [OpenIncidentRow._make(row) for row in incidents])


async def replace_standing(connection: Executor, alerts: Sequence[int], rows: Sequence[GroupAlertRow]) -> None:
    """Forget where these alerts stand, and put down where they stand now."""
    await connection.execute(_FORGET, list(alerts))
    if rows:
        await connection.execute(_PUT, *([row[place] for row in rows] for place in range(_WIDTH)))


async def forget_free(connection: Executor, alerts: Sequence[int]) -> None:
    """Forget where these alerts stand, those of incidents apart."""
    await connection.execute(_FORGET_FREE, list(alerts))


async def forget_other_rules(connection: Executor, rules: Sequence[str]) -> None:
    """Forget what stands under rules that are no more."""
    await connection.execute(_FORGET_RULES, list(rules))
