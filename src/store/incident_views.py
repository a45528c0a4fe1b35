"""Incidents as people read them: the list, and one with its alerts and what became of their tickets."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions


class IncidentRow(NamedTuple):
    """One incident with the names of what it concerns; the order of the fields is that of ``_COLUMNS``."""

    id: int
    rule: str
    title: str | None
    title_zh: str | None
    name: str
    part: str
    state: str
    severity: int
    device: str
    asset: str | None
    district: str
    alert: int | None
    ticket: str | None
    ticket_state: str | None
    onset: datetime
    opened_at: datetime
    decided_at: datetime
    closed_at: datetime | None
    alerts: int
    firing: int
    size: int
    simulated: bool


class IncidentFilter(NamedTuple):
    """Which incidents a list shows; ``None`` does not care."""

    state: str | None = None
    rule: str | None = None
    name: str | None = None
    simulated: bool | None = None


class IncidentPlace(NamedTuple):
    """Where a page ended: the sort key of its last row."""

    state: str
    id: int


class IncidentAlertRow(NamedTuple):
    """An alert that belongs to an incident; the order of the fields is that of ``_MEMBERS``."""

    alert: int
    rule: str
    device: str
    asset: str | None
    severity: int
    state: str
    hidden: bool
    onset: datetime
    fired_at: datetime
    cleared_at: datetime | None
    muted: bool
    ticket: str | None
    ticket_state: str | None
    linked: bool


_COLUMNS: Final = """
       i.id, i.rule, r.body ->> 'title', r.body ->> 'title_zh', i.name, i.part, i.state, i.severity,
       d.name, s.name, d.district, i.head_alert, t.number, t.state,
       i.onset, i.opened_at, i.decided_at, i.closed_at, i.alerts, i.firing, i.size, i.simulated
"""
_JOINS: Final = """
  JOIN device d ON d.id = i.lead_device
  JOIN alert l ON l.id = i.lead_alert
  LEFT JOIN asset s ON s.id = l.asset_id
  LEFT JOIN alert h ON h.id = i.head_alert
  LEFT JOIN rule_revision r ON r.id = h.revision_id
  LEFT JOIN ticket t ON t.id = h.ticket_id
"""

_LIST: Final = f"""
SELECT {_COLUMNS}
  FROM (SELECT * FROM incident i WHERE {{where}} ORDER BY (i.state = 'closed'), (-i.id) LIMIT {{limit}}) i {_JOINS}
 ORDER BY (i.state = 'closed'), (-i.id)
"""

_ONE: Final = f"SELECT {_COLUMNS} FROM incident i {_JOINS} WHERE i.id = $1"

_MEMBERS: Final = """
SELECT a.id, a.rule, d.name, s.name, a.severity, a.state,
       EXISTS (SELECT FROM alert_mute m
                WHERE m.alert_id = a.id AND m.reason = 'inhibition' AND m.source = 'incident:' || a.incident_id),
       a.onset, a.fired_at, a.cleared_at,
       EXISTS (SELECT FROM alert_mute m WHERE m.alert_id = a.id AND m.ended_at IS NULL),
       t.number, t.state,
       EXISTS (SELECT FROM ticket_move v
                WHERE v.ticket_id = t.id AND v.move = 'linked' AND (v.detail ->> 'incident')::bigint = a.incident_id)
  FROM alert a
  JOIN device d ON d.id = a.device_id
  LEFT JOIN asset s ON s.id = a.asset_id
  LEFT JOIN ticket t ON t.id = a.ticket_id
 WHERE a.incident_id = $1
 ORDER BY a.fired_at, a.id LIMIT $2
"""


async def list_incidents(
    pool: Pool, wanted: IncidentFilter, *, after: IncidentPlace | None, limit: int
) -> list[IncidentRow]:
    """Incidents: open ones first, then the newest."""
    where = Conditions()
    where.add_given("i.state = {}", wanted.state)
    where.add_given("i.rule = {}", wanted.rule)
    where.add_given("i.name = {}", wanted.name)
    where.add_given("i.simulated = {}", wanted.simulated)
    if after is not None:
        where.add("((i.state = 'closed'), (-i.id)) > ({}::boolean, {}::bigint)", after.state == "closed", -after.id)
    statement = _LIST.format(where=where.text, limit=where.parameter(limit))
    return [IncidentRow._make(record) for record in await pool.fetch(statement, *where.values)]


async def find_incident(pool: Pool, incident_id: int) -> IncidentRow | None:
    """One incident."""
    record = await pool.fetchrow(_ONE, incident_id)
    return None if record is None else IncidentRow._make(record)


async def list_members(pool: Pool, incident_id: int, limit: int) -> list[IncidentAlertRow]:
    """The alerts that belong to an incident, in the order in which they fired."""
    return [IncidentAlertRow._make(record) for record in await pool.fetch(_MEMBERS, incident_id, limit)]
