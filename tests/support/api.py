"""The HTTP interface in the test's own process, and rows to read through it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import orjson
from structlog.testing import capture_logs

from api.app import create_app
from api.parts import ApiSettings
from domain.role import Role
from store.connection import Executor, Pool
from store.keys import create_key
from store.registry import AssetEntry, DeviceEntry, Saved, save

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@dataclass
class StillClock:
    """Moves only when told."""

    time: datetime = NOW
    simulated: bool = True

    def now(self) -> datetime:
        return self.time


@asynccontextmanager
async def client(
    pool: asyncpg.Pool, role: Role | None = Role.ADMIN, clock: StillClock | None = None, *, raises: bool = True
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client that holds a key of ``role``, or none."""
    app = create_app(pool, clock or StillClock(), ApiSettings(key_memory_s=0.0))
    headers: dict[str, str] = {}
    if role is not None:
        headers["Authorization"] = f"Bearer {await create_key(pool, name=f'test {role}', role=role, now=NOW)}"
    transport = httpx.ASGITransport(app, raise_app_exceptions=raises)
    # Captured, not printed: drawing the trace of an error that a test provokes takes seconds.
    with capture_logs():
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as opened:
            yield opened


async def registered(pool: asyncpg.Pool, *names: str, kind: str = "manhole") -> None:
    """Devices of these names, each fitted to an asset ``A-<name>``."""
    assets = [AssetEntry(name=f"A-{name}", kind=kind, district="511703") for name in names]
    devices = [DeviceEntry(name=name, kind=kind, district="511703", asset=f"A-{name}") for name in names]
    assert isinstance(await save(pool, assets, devices, NOW), Saved)


INSERT_ALERT = """
INSERT INTO alert (device_id, rule, onset, revision_id, severity, peak, state, fired_at, decided_at, measure, value,
                   acknowledged_at, simulated)
SELECT id, $2, $3, $4, $5, $5, $6, $3, $3, 'tilt_deg', '93.5'::jsonb, $7, false FROM device WHERE name = $1
RETURNING id
"""


async def make_alert(
    connection: "Pool | Executor",
    device: str,
    *,
    rule: str = "manhole.tilt",
    minutes: int = 0,
    severity: int = 2,
    state: str = "firing",
    acknowledged: bool = False,
) -> int:
    """One alert, straight into the table."""
    onset = NOW + timedelta(minutes=minutes)
    body = orjson.dumps({"key": rule, "title": "Cover tilted", "title_zh": "井盖倾斜"})
    # Looked for first: an upsert would lock the row, and two transactions of one test would wait for each other.
    revision = await connection.fetchval("SELECT id FROM rule_revision WHERE key = $1", rule) or (
        await connection.fetchval(
            "INSERT INTO rule_revision (key, digest, body, created_at) VALUES ($1, 'd', $2, $3) RETURNING id",
            rule,
            body,
            NOW,
        )
    )
    seen = NOW if acknowledged else None
    return int(await connection.fetchval(INSERT_ALERT, device, rule, onset, revision, severity, state, seen))
