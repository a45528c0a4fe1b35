"""Incidents in: opened with an alert of their own, joined by others, closed; and what is told of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.alert import Severity
from domain.alert_change import AlertKey
from store.connection import Executor


class NewIncident(NamedTuple):
    """An incident to be stored; the order of the fields is that of ``_OPEN``."""

    id: int
    rule: str
    name: str
    part: str
    severity: Severity
    lead_alert: int
    lead_device: int
    onset: datetime
    opened_at: datetime
    size: int


class OwnedTicket(NamedTuple):
    """A ticket that a member's alert has beside that of its incident."""

    incident_id: int
    ticket_id: int
    number: str
    """Of the incident's ticket, which it is linked to."""


_IDS: Final = "SELECT nextval('incident_id') FROM generate_series(1, $1)"

_OPEN: Final = """
INSERT INTO incident (id, rule, name, part, severity, lead_alert, lead_device, onset, opened_at, size, state,
                      decided_at, simulated)
SELECT n.*, 'open', $11, d.simulated
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[],
            $8::timestamptz[], $9::timestamptz[], $10::integer[])
    AS n(id, rule, name, part, severity, lead_alert, lead_device, onset, opened_at, size)
JOIN device AS d ON d.id = n.lead_device
"""

_JOIN: Final = """
UPDATE alert AS a SET incident_id = n.incident_id, changed = pg_current_xact_id()
FROM unnest($1::bigint[], $2::bigint[]) AS n(alert_id, incident_id) WHERE a.id = n.alert_id
"""

_HEADS: Final = """
UPDATE incident AS i SET head_alert = a.id
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[]) AS n(id, device_id, rule, onset)
JOIN alert AS a ON a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
WHERE i.id = n.id
"""

_NAME_TICKETS: Final = """
UPDATE ticket AS t SET title = t.title || ': ' || i.name, title_zh = t.title_zh || ': ' || i.name
FROM incident AS i JOIN alert AS a ON a.id = i.head_alert
WHERE i.id = ANY($1::bigint[]) AND i.name <> '' AND t.id = a.ticket_id
  -- Not one that stood before: it is about something else, too.
  AND t.alerts = 1
"""

_CLOSE: Final = """
UPDATE incident AS i SET state = 'closed', closed_at = n.closed_at
FROM unnest($1::bigint[], $2::timestamptz[]) AS n(id, closed_at) WHERE i.id = n.id
"""

_COUNT: Final = """
UPDATE incident AS i SET alerts = c.alerts, firing = c.firing, changed = pg_current_xact_id()
FROM (
    SELECT n.id, count(a.id) AS alerts,
           count(a.id) FILTER (WHERE a.state = 'firing' AND a.standing = 'upheld') AS firing
    FROM unnest($1::bigint[]) AS n(id) LEFT JOIN alert AS a ON a.incident_id = n.id GROUP BY n.id
) AS c
WHERE i.id = c.id
"""

_OWNED: Final = """
SELECT DISTINCT m.incident_id, m.ticket_id, h.number
FROM alert AS m
JOIN ticket AS own ON own.id = m.ticket_id AND own.state = 'open'
JOIN incident AS i ON i.id = m.incident_id
JOIN alert AS a ON a.id = i.head_alert
JOIN ticket AS h ON h.id = a.ticket_id
WHERE m.id = ANY($1::bigint[]) AND m.ticket_id <> a.ticket_id
ORDER BY 1, 2
"""

_OUTBOX: Final = """
INSERT INTO outbox (at, topic, body)
SELECT $2, 'incident', jsonb_build_object('id', i.id, 'rule', i.rule, 'name', i.name, 'state', i.state,
                                          'alerts', i.alerts, 'firing', i.firing)
FROM incident AS i WHERE i.id = ANY($1::bigint[]) ORDER BY i.id
"""

_HEAD_KEYS: Final = """
SELECT i.id, a.device_id, a.rule, a.onset FROM incident AS i JOIN alert AS a ON a.id = i.head_alert
WHERE i.id = ANY($1::bigint[])
"""

_OF_OTHER_RULES: Final = "SELECT id FROM incident WHERE state = 'open' AND rule <> ALL($1::text[]) ORDER BY id"


async def new_ids(connection: Executor, count: int) -> list[int]:
    """Numbers for new incidents."""
    return [int(row[0]) for row in await connection.fetch(_IDS, count)]


async def open_incidents(connection: Executor, incidents: Sequence[NewIncident], now: datetime) -> None:
    """Store new incidents; their own alerts come afterwards."""
    columns = ([one[place] for one in incidents] for place in range(len(NewIncident._fields)))
    await connection.execute(_OPEN, *columns, now)


async def join_incidents(connection: Executor, joined: Sequence[tuple[int, int]]) -> None:
    """Write into each (alert, incident) the incident; the alerts' devices are locked by the caller."""
    await connection.execute(_JOIN, [alert for alert, _ in joined], [incident for _, incident in joined])


async def take_heads(connection: Executor, heads: Sequence[tuple[int, AlertKey]]) -> None:
    """Note which alert is each (incident, alert)'s own, and give the ticket it opened the group's name."""
    ids = [incident for incident, _ in heads]
    keys = [key for _, key in heads]
    await connection.execute(_HEADS, ids, [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys])
    await connection.execute(_NAME_TICKETS, ids)


async def head_keys(connection: Executor, incidents: Sequence[int]) -> dict[int, AlertKey]:
    """Incident → the identity of its own alert."""
    return {row[0]: (row[1], row[2], row[3]) for row in await connection.fetch(_HEAD_KEYS, list(incidents))}


async def close_incidents(connection: Executor, closed: Sequence[tuple[int, datetime]]) -> None:
    """Close each (incident, event time)."""
    await connection.execute(_CLOSE, [incident for incident, _ in closed], [at for _, at in closed])


async def owned_tickets(connection: Executor, alerts: Sequence[int]) -> list[OwnedTicket]:
    """The open tickets that these alerts have of their own."""
    return [OwnedTicket._make(row) for row in await connection.fetch(_OWNED, list(alerts))]


async def recount(connection: Executor, incidents: Sequence[int], now: datetime) -> None:
    """Count the alerts of incidents that changed, and tell of them."""
    ids = sorted(incidents)
    await connection.execute(_COUNT, ids)
    await connection.execute(_OUTBOX, ids, now)


async def open_of_other_rules(connection: Executor, rules: Sequence[str]) -> list[int]:
    """Incidents that are open under rules that are no more."""
    return [int(row[0]) for row in await connection.fetch(_OF_OTHER_RULES, list(rules))]
