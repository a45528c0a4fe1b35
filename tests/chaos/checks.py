"""The checks: what was acknowledged is settled once, no ticket is double, the accounts agree with the rows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.neighbours import run_command
from tests.chaos.reference import Upheld
from tests.chaos.stream import Plan, id_of, name_of
from tests.chaos.world import World

NAMED: Final = 40
"""Ids that a report names; the count says how many there are."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    wrong: int
    """How many things contradict it; 0: it holds."""
    detail: str = ""
    ids: Sequence[str] = field(default_factory=list[str])
    """Some of them by name."""

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts it."""
        return self.wrong == 0


def _check(name: str, wrong: Iterable[object], detail: str = "") -> Check:
    found = sorted(str(one) for one in wrong)
    return Check(name, len(found), detail, found[:NAMED])


def stored_numbers(world: World, plan: Plan) -> Counter[int]:
    """How often each message of the stream lies in the readings."""
    places = {name_of(device): device for device in range(plan.devices)}
    rows = world.ask(
        "SELECT d.name, r.seq FROM reading AS r JOIN device AS d ON d.id = r.device_id "
        "WHERE starts_with(d.name, 'chaos-')"
    )
    return Counter((int(row[1]) - 1) * plan.devices + places[row[0]] for row in rows)


def deliveries(plan: Plan, acknowledged: set[int], published: int, stored: Counter[int]) -> list[Check]:
    """What the broker promised is there, each once, and nothing that was never sent."""
    return [
        _check("acknowledged is settled", (id_of(plan, n) for n in acknowledged - stored.keys())),
        _check("settled once", (id_of(plan, n) for n, times in stored.items() if times > 1)),
        _check("settled was published", (id_of(plan, n) for n in stored if not 0 <= n < published)),
    ]


_ROW_IDENTITIES: Final = """
SELECT minute || ' ' || source || ' ' || worker FROM ledger_minute
WHERE contained <> stored + duplicate + conflicting + rejected
   OR least(accepted, quarantined, ignored, redelivered, contained, stored, duplicate, conflicting, rejected) < 0
"""
_MINUTES: Final = """
SELECT coalesce(l.minute, r.minute) || ': ledger ' || coalesce(l.stored, 0) || ', rows ' || coalesce(r.rows, 0)
FROM (SELECT minute, sum(stored) AS stored FROM ledger_minute GROUP BY minute) AS l
FULL JOIN (SELECT date_trunc('minute', received_at) AS minute, count(*) AS rows FROM reading GROUP BY 1) AS r
    ON r.minute = l.minute
WHERE coalesce(l.stored, 0) <> coalesce(r.rows, 0)
"""
_TOTALS: Final = """
SELECT coalesce(sum(accepted), 0)::bigint AS accepted, coalesce(sum(quarantined), 0)::bigint AS quarantined,
       coalesce(sum(ignored), 0)::bigint AS ignored, coalesce(sum(redelivered), 0)::bigint AS redelivered,
       coalesce(sum(contained), 0)::bigint AS contained, coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(duplicate), 0)::bigint AS duplicate, coalesce(sum(rejected), 0)::bigint AS rejected,
       (SELECT count(*) FROM reading) AS rows, (SELECT coalesce(sum(count), 0)::bigint FROM quarantine) AS aside
FROM ledger_minute
"""
_DEVICE_COUNTS: Final = """
SELECT d.name || ': counted ' || s.readings || ', rows ' || coalesce(r.rows, 0) || ', missed ' || s.missed
FROM device_state AS s JOIN device AS d ON d.id = s.device_id
LEFT JOIN (SELECT device_id, count(*) AS rows FROM reading GROUP BY device_id) AS r ON r.device_id = s.device_id
WHERE s.readings <> coalesce(r.rows, 0) OR (s.missed <> 0 AND $1)
"""


def totals(world: World) -> dict[str, int]:
    """The ledger's sums, and how many rows there are."""
    [row] = world.ask(_TOTALS)
    return {name: int(value) for name, value in row.items()}


def ledger(world: World, *, all_came: bool, quarantine_expected: bool = False) -> list[Check]:
    """Every identity of the ledger, and that it equals the rows it speaks of."""
    sums = totals(world)
    wrong: list[str] = []
    if sums["stored"] != sums["rows"]:
        wrong.append(f"stored {sums['stored']}, rows {sums['rows']}")
    if sums["accepted"] != sums["contained"] - sums["rejected"]:
        # Each message of the stream holds one reading.
        wrong.append(f"accepted {sums['accepted']}, contained {sums['contained']}, rejected {sums['rejected']}")
    if sums["quarantined"] != sums["aside"]:
        wrong.append(f"quarantined {sums['quarantined']}, set aside {sums['aside']}")
    if sums["aside"] and not quarantine_expected:
        wrong.append(f"{sums['aside']} messages of ours were set aside")
    return [
        _check("ledger: rows balance", (row[0] for row in world.ask(_ROW_IDENTITIES))),
        _check("ledger: totals equal the rows", wrong, str(sums)),
        _check("ledger: each minute equals its rows", (row[0] for row in world.ask(_MINUTES))),
        _check("devices' counts equal the rows", (row[0] for row in world.ask(_DEVICE_COUNTS, all_came))),
    ]


def books(world: World) -> Check:
    """What the product's own check of its books says: ``streetwarden ledger check --deep``."""
    try:
        run_command(world.environment, "ledger", "check", "--deep")
    except RuntimeError as error:
        return _check("streetwarden ledger check --deep", [error])
    return _check("streetwarden ledger check --deep", [])


_OPEN_TWICE: Final = """
SELECT a.name || ' ' || s.case_class FROM ticket_subject AS s JOIN asset AS a ON a.id = s.asset_id
WHERE s.open GROUP BY a.name, s.case_class HAVING count(*) > 1
"""
_OVERLAPPING: Final = """
SELECT a.name || ' ' || t.case_class || ': ' || t.number || ' opened before ' || p.number || ' had resolved'
FROM (
    SELECT s.asset_id, s.case_class, s.ticket_id,
           lag(s.ticket_id) OVER (PARTITION BY s.asset_id, s.case_class ORDER BY o.id) AS previous, o.id AS opened
    FROM ticket_subject AS s JOIN ticket_move AS o ON o.ticket_id = s.ticket_id AND o.move = 'opened'
) AS n
JOIN ticket AS t ON t.id = n.ticket_id JOIN ticket AS p ON p.id = n.previous JOIN asset AS a ON a.id = n.asset_id
WHERE NOT EXISTS (
    SELECT FROM ticket_move AS m WHERE m.ticket_id = n.previous AND m.move = 'resolved' AND m.id < n.opened
)
"""
"""By the moves' own numbers, not by clocks: whoever opens a ticket has seen the former one resolved."""
_RECOUNT: Final = """
SELECT t.number || ': firing ' || t.firing || ' of ' || coalesce(a.firing, 0) || ', alerts ' || t.alerts || ' of '
       || coalesce(a.alerts, 0)
FROM ticket AS t
LEFT JOIN (
    SELECT ticket_id, count(*) AS alerts, count(*) FILTER (WHERE state = 'firing') AS firing
    FROM alert WHERE ticket_id IS NOT NULL GROUP BY ticket_id
) AS a ON a.ticket_id = t.id
WHERE t.firing <> coalesce(a.firing, 0) OR t.alerts <> coalesce(a.alerts, 0)
"""
_SUBJECTS: Final = """
SELECT t.number FROM ticket AS t LEFT JOIN ticket_subject AS s ON s.ticket_id = t.id
GROUP BY t.id HAVING count(s.ticket_id) <> 1 OR bool_or(s.open) <> (t.state = 'open')
"""
_INDEX: Final = """
SELECT 'ticket_subject_open is missing or invalid' WHERE NOT EXISTS (
    SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relname = 'ticket_subject_open' AND i.indisvalid AND i.indisunique
)
"""


def tickets(world: World) -> list[Check]:
    """One open ticket an asset and case class at any time, and each counts the alerts behind it."""
    return [
        _check("no subject has two open tickets", (row[0] for row in world.ask(_OPEN_TWICE))),
        _check("no ticket opened beside an open one", (row[0] for row in world.ask(_OVERLAPPING))),
        _check("the unique index holds", (row[0] for row in world.ask(_INDEX))),
        _check("tickets count their alerts", (row[0] for row in world.ask(_RECOUNT))),
        _check("subjects are open with their ticket", (row[0] for row in world.ask(_SUBJECTS))),
    ]


def alerts(found: Upheld, wanted: Upheld) -> tuple[list[Check], dict[str, int]]:
    """The same upheld alerts as undisturbed; what else differs is counted, since order may decide it."""
    missing, extra = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    by_rule = Counter(key.rule for key in (*missing, *extra))
    detail = f"of {len(wanted)}; by rule: {dict(by_rule.most_common())}" if by_rule else f"of {len(wanted)}"
    both = found.keys() & wanted.keys()
    told = {
        "undisturbed": len(wanted),
        "upheld": len(found),
        "other_end": sum(found[key].cleared_at != wanted[key].cleared_at for key in both),
        "other_start": sum(found[key].fired_at != wanted[key].fired_at for key in both),
        "other_ticket": sum(found[key].has_ticket != wanted[key].has_ticket for key in both),
    }
    return [
        _check("no alert is missing", missing, detail),
        _check("no alert is too many", extra, detail),
    ], told
