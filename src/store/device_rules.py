"""What explains how the rules of a device stand: its state, its groups' overrides, its newest readings, its alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from domain.coverage import Coverage, Stretches, heard_by_all
from domain.device import Device
from domain.instants import from_micros
from domain.mute import Mute
from domain.reading import MeasureValue
from domain.scope import Group, groups_of
from store.connection import Executor, Pool
from store.known_devices import devices_by_id
from store.mutes import standing_mutes
from store.rule_overrides import OverrideRow, overrides_of
from store.worker_sessions import load_others


class NewestValue(NamedTuple):
    """The newest value of a measure, and what is still known of the reading it came with."""

    value: MeasureValue
    at: datetime
    received_at: datetime | None
    flags: Mapping[str, str]


class OpenAlert(NamedTuple):
    """An alert that fires."""

    id: int
    rule: str
    onset: datetime
    fired_at: datetime
    severity: int
    standing: str
    acknowledged_by: str | None
    ticket: str | None


class JudgedDevice(NamedTuple):
    """Everything in one snapshot."""

    device: Device
    heard_at: datetime | None
    source: str | None
    coverage: Coverage | None
    """Where every worker has heard its source."""
    tracks: bytes | None
    newest: Mapping[str, NewestValue]
    overrides: Sequence[OverrideRow]
    """Those of its groups."""
    alerts: Sequence[OpenAlert]
    mutes: Mapping[int, Sequence[Mute]]
    """Alert → why it asks for no ticket just now."""


_DEVICE: Final = """
SELECT d.id, s.heard_at, s.source, s.tracks, s.measures
  FROM device d LEFT JOIN device_state s ON s.device_id = d.id WHERE d.name = $1
"""
_READINGS: Final = """
SELECT r.at, r.digest, r.received_at, r.flags
  FROM unnest($2::timestamptz[], $3::bigint[]) AS n (at, digest)
  JOIN reading r ON r.device_id = $1 AND r.at = n.at AND r.digest = n.digest
"""
_ALERTS: Final = """
SELECT a.id, a.rule, a.onset, a.fired_at, a.severity, a.standing, a.acknowledged_by, t.number
  FROM alert a LEFT JOIN ticket t ON t.id = a.ticket_id
 WHERE a.device_id = $1 AND a.state = 'firing' ORDER BY a.id
"""


async def judged_device(pool: Pool, name: str) -> JudgedDevice | None:
    """One device, as all of this was at one moment."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(_DEVICE, name)
        if row is None:
            return None
        number, heard_at, source, tracks, measures = row
        device = (await devices_by_id(connection, [number]))[number]
        alerts = [OpenAlert._make(record) for record in await connection.fetch(_ALERTS, number)]
        return JudgedDevice(
            device=device,
            heard_at=heard_at,
            source=source,
            coverage=None if source is None else (await _heard(connection)).get(source),
            tracks=tracks,
            newest=await _newest(connection, number, orjson.loads(measures) if measures else {}),
            overrides=await overrides_of(connection, list(groups_of(device))),
            alerts=alerts,
            mutes=await standing_mutes(connection, [alert.id for alert in alerts]),
        )


async def _heard(connection: Executor) -> Stretches:
    """How far all workers have heard."""
    stretches = await load_others(connection, "")
    first = next(iter(stretches), None)
    return {} if first is None else heard_by_all(stretches.pop(first), stretches)


async def _newest(connection: Executor, device: int, stored: Mapping[str, Any]) -> dict[str, NewestValue]:
    """Put the newest values, measure → [value, time in µs since 1970, digest], together with their readings."""
    places = sorted({(from_micros(at), digest) for _, at, digest in stored.values()})
    rows = await connection.fetch(_READINGS, device, [at for at, _ in places], [digest for _, digest in places])
    none: dict[str, str] = {}
    readings: dict[tuple[datetime, int], tuple[datetime | None, dict[str, str]]] = {
        (row[0], row[1]): (row[2], orjson.loads(row[3]) if row[3] else none) for row in rows
    }
    newest: dict[str, NewestValue] = {}
    for measure, (value, micros, digest) in stored.items():
        at = from_micros(micros)
        newest[measure] = NewestValue(value, at, *readings.get((at, digest), (None, none)))
    return newest


def by_group(overrides: Sequence[OverrideRow]) -> dict[Group, dict[str, Mapping[str, Any]]]:
    """Group → rule → parameters."""
    groups: dict[Group, dict[str, Mapping[str, Any]]] = {}
    for one in overrides:
        groups.setdefault(Group(one.scope, one.name), {})[one.rule] = one.parameters
    return groups
