"""Alerts as people read them, and the one thing people do to them: acknowledge."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions

ACKNOWLEDGED: Final = "acknowledged"
"""The step a person adds to those of the engine."""

_SLOWEST_COMMIT: Final = timedelta(minutes=1)
"""A time given as ``changed_since`` is moved back by this: a step carries the time at which it was decided, and becomes
visible when its transaction commits."""


class AlertRow(NamedTuple):
    """One alert with the names of what it concerns; the order of the fields is that of ``_COLUMNS``."""

    id: int
    rule: str
    severity: int
    peak: int
    state: str
    standing: str
    retrospective: bool
    contradicted_at: datetime | None
    contradicted_by: datetime | None
    device: str
    kind: str
    district: str
    asset: str | None
    ticket: str | None
    title: str | None
    title_zh: str | None
    revision_id: int
    digest: str
    onset: datetime
    fired_at: datetime
    decided_at: datetime
    cleared_at: datetime | None
    measure: str | None
    value: bytes | None
    reading_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    owner: str | None
    note: str | None
    simulated: bool
    flapping: bool
    muted: bytes
    """In JSON: why it asks for no ticket just now."""
    incident: int | None


class AlertFilter(NamedTuple):
    """Which alerts a list shows; ``None`` does not care."""

    state: str | None = None
    severity: tuple[int, ...] = ()
    kind: str | None = None
    device: str | None = None
    rule: str | None = None
    ticket: str | None = None
    standing: str | None = None
    acknowledged: bool | None = None
    simulated: bool | None = None
    flapping: bool | None = None
    muted: bool | None = None
    hidden_by: tuple[str, str] | None = None
    """(reason, source) of a mute that they have, or had."""
    incident: int | None = None
    changed_from: int | None = None
    """Transaction of the change or a later one."""
    decided_since: datetime | None = None
    """Some step decided then or later."""


class AlertPlace(NamedTuple):
    """Where a page ended: the sort key of its last row."""

    acknowledged: bool
    severity: int
    id: int


_COLUMNS: Final = """
       a.id, a.rule, a.severity, a.peak, a.state, a.standing, a.retrospective,
       a.contradicted_at, a.contradicted_by_at,
       d.name, d.kind, d.district, s.name, t.number,
       r.body ->> 'title', r.body ->> 'title_zh', a.revision_id, r.digest,
       a.onset, a.fired_at, a.decided_at, a.cleared_at, a.measure, a.value, a.reading_at,
       a.acknowledged_at, a.acknowledged_by, a.owner, a.note, a.simulated, a.flapping,
       coalesce((SELECT jsonb_agg(jsonb_build_object('reason', m.reason, 'source', m.source, 'since', m.since,
                                                     'until', m.until))
                   FROM alert_mute m WHERE m.alert_id = a.id AND m.ended_at IS NULL), '[]'::jsonb),
       a.incident_id
"""
_JOINS: Final = """
  JOIN device d ON d.id = a.device_id
  JOIN rule_revision r ON r.id = a.revision_id
  LEFT JOIN asset s ON s.id = a.asset_id
  LEFT JOIN ticket t ON t.id = a.ticket_id
"""

_ORDER: Final = "(a.acknowledged_at IS NOT NULL), a.severity, (-a.id)"
"""Unacknowledged first, then most severe, then newest: the very expressions of the indexes ``alert_firing`` and
``alert_list``. ``-id`` instead of ``id DESC`` so that one row comparison says where the next page begins."""

_LIST: Final = f"""
SELECT {_COLUMNS}
  FROM (SELECT * FROM alert a WHERE {{where}} ORDER BY {_ORDER} LIMIT {{limit}}) a {_JOINS}
 ORDER BY {_ORDER}
"""
# The page is cut before the names are joined: PostgreSQL guesses a row comparison by its first column alone, expects
# one row where thousands follow, and would join and sort them all.

_STATES: Final = {"firing": "a.state = 'firing'", "cleared": "a.state = 'cleared'"}
"""Written out and not as a parameter: the planner must see that the partial index serves."""

_MUTED: Final = "EXISTS (SELECT FROM alert_mute m WHERE m.alert_id = a.id AND m.ended_at IS NULL)"

_STEP_SINCE: Final = """(a.device_id, a.rule, a.onset) IN (
    SELECT e.device_id, e.rule, e.onset FROM alert_event e WHERE e.decided_at >= {})"""


async def list_alerts(pool: Pool, wanted: AlertFilter, *, after: AlertPlace | None, limit: int) -> list[AlertRow]:
    """Alerts in the order in which an operator should look at them."""
    statement, values = list_statement(wanted, after=after, limit=limit)
    return [AlertRow._make(record) for record in await pool.fetch(statement, *values)]


def list_statement(wanted: AlertFilter, *, after: AlertPlace | None, limit: int) -> tuple[str, list[object]]:
    """Write the statement of a list, and its values; apart from ``list_alerts`` so that a test can ask for its plan."""
    where = Conditions()
    if wanted.state is not None:
        where.add(_STATES[wanted.state])
    if wanted.severity:
        where.add("a.severity = ANY({}::smallint[])", list(wanted.severity))
    if wanted.acknowledged is not None:
        where.add("(a.acknowledged_at IS NOT NULL) = {}::boolean", wanted.acknowledged)
    where.add_given("EXISTS (SELECT FROM device d WHERE d.id = a.device_id AND d.kind = {})", wanted.kind)
    where.add_given("a.device_id = (SELECT id FROM device WHERE name = {})", wanted.device)
    where.add_given("a.rule = {}", wanted.rule)
    where.add_given("a.ticket_id = (SELECT id FROM ticket WHERE number = {})", wanted.ticket)
    where.add_given("a.simulated = {}", wanted.simulated)
    where.add_given("a.standing = {}", wanted.standing)
    where.add_given("a.incident_id = {}", wanted.incident)
    where.add_given("a.flapping = {}", wanted.flapping)
    if wanted.muted is not None:
        where.add(_MUTED if wanted.muted else f"NOT {_MUTED}")
    if wanted.hidden_by is not None:
        where.add("a.id IN (SELECT alert_id FROM alert_mute WHERE reason = {} AND source = {})", *wanted.hidden_by)
    if wanted.changed_from is not None:
        where.add("a.changed >= {}::text::xid8", str(wanted.changed_from))
    if wanted.decided_since is not None:
        where.add(_STEP_SINCE, wanted.decided_since - _SLOWEST_COMMIT)
    if after is not None:
        where.add(
            "((a.acknowledged_at IS NOT NULL), a.severity, (-a.id)) > ({}::boolean, {}::smallint, {}::bigint)",
            after.acknowledged,
            after.severity,
            -after.id,
        )
    return _LIST.format(where=where.text, limit=where.parameter(limit)), where.values


_ONE: Final = f"SELECT {_COLUMNS} FROM alert a {_JOINS} WHERE a.id = $1"


async def find_alert(pool: Pool, alert_id: int) -> AlertRow | None:
    """One alert."""
    record = await pool.fetchrow(_ONE, alert_id)
    return None if record is None else AlertRow._make(record)


class AlertStepRow(NamedTuple):
    """One step of an alert's life."""

    at: datetime
    step: str
    severity: int
    measure: str | None
    value: bytes | None
    reading_at: datetime | None
    received_at: datetime | None
    """When that reading was received."""
    decided_at: datetime
    by: str | None
    note: str | None


_STEPS: Final = """
SELECT e.at, e.step, e.severity, e.measure, e.value, e.reading_at,
       (SELECT r.received_at FROM reading r
         WHERE r.device_id = e.device_id AND r.at = e.reading_at AND r.digest = e.reading_digest),
       e.decided_at, e.by, e.note
  FROM alert_event e
  JOIN alert a ON (a.device_id, a.rule, a.onset) = (e.device_id, e.rule, e.onset)
 WHERE a.id = $1
 ORDER BY e.decided_at, e.at
"""


async def list_steps(pool: Pool, alert_id: int) -> list[AlertStepRow]:
    """The steps of an alert in the order in which they were decided."""
    return [AlertStepRow._make(record) for record in await pool.fetch(_STEPS, alert_id)]


_RECEIVED: Final = """
SELECT r.received_at FROM alert a
  JOIN reading r ON (r.device_id, r.at, r.digest) = (a.device_id, a.reading_at, a.reading_digest)
 WHERE a.id = $1
"""


async def evidence_received(pool: Pool, alert_id: int) -> datetime | None:
    """When the reading that decided was received; ``None`` if none did, or if it is no longer kept."""
    record = await pool.fetchrow(_RECEIVED, alert_id)
    return None if record is None else record["received_at"]


_REVISION: Final = "SELECT r.body FROM rule_revision r JOIN alert a ON a.revision_id = r.id WHERE a.id = $1"


async def revision_body(pool: Pool, alert_id: int) -> bytes | None:
    """The rule, in JSON, as it stood when it raised the alert."""
    record = await pool.fetchrow(_REVISION, alert_id)
    return None if record is None else bytes(record["body"])


_ACKNOWLEDGE: Final = """
WITH acknowledged AS (
    UPDATE alert
       SET acknowledged_at = coalesce(acknowledged_at, $2),
           acknowledged_by = coalesce(acknowledged_by, $3),
           owner = $4,
           note = $5,
           changed = pg_current_xact_id()
     WHERE id = $1
       AND (acknowledged_at IS NULL OR owner IS DISTINCT FROM $4 OR note IS DISTINCT FROM $5)
    RETURNING id, device_id, rule, onset, state, severity
), recorded AS (
    INSERT INTO alert_event (device_id, rule, onset, at, step, severity, decided_at, by, note)
    SELECT device_id, rule, onset, $2, $6::text, severity, $2, $3, $5 FROM acknowledged
)
INSERT INTO outbox (at, topic, body)
SELECT $2, 'alert', jsonb_build_object('id', id, 'rule', rule, 'state', state, 'severity', severity, 'step', $6::text,
                                       'by', $3::text, 'owner', $4::text)
  FROM acknowledged
"""


async def acknowledge(pool: Pool, alert_id: int, *, by: str, owner: str, note: str, now: datetime) -> AlertRow | None:
    """Take an alert on, record it and tell whoever listens, in one statement; ``None`` if there is no such alert.

    The first acknowledgement keeps its time and its name. A later one hands the alert to another owner or changes the
    note; the very same again changes nothing and records nothing.
    """
    await pool.execute(_ACKNOWLEDGE, alert_id, now, by, owner, note, ACKNOWLEDGED)
    return await find_alert(pool, alert_id)
