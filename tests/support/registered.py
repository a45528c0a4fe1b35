"""Devices put into the registry by plain SQL, for tests that are not about the registry."""

import asyncpg

DISTRICT = "511703"


async def register(
    pool: "asyncpg.Pool[asyncpg.Record]",
    name: str,
    kind: str = "manhole",
    *,
    asset: str | None = None,
    aliases: dict[str, str] | None = None,
    interval_s: float | None = None,
    fields: bytes = b"{}",
    simulated: bool = False,
) -> int:
    """Register a device, fitted to an asset of its own (or the one named); return its id."""
    async with pool.acquire() as connection, connection.transaction():
        device = await connection.fetchval(
            "INSERT INTO device (name, kind, district, interval_s, fields, simulated, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, now(), now()) RETURNING id",
            name,
            kind,
            DISTRICT,
            interval_s,
            fields,
            simulated,
        )
        asset_id = await connection.fetchval(
            "INSERT INTO asset (name, kind, district, created_at, updated_at) VALUES ($1, $2, $3, now(), now()) "
            "ON CONFLICT (name) DO UPDATE SET updated_at = now() RETURNING id",
            asset or f"asset-{name}",
            kind,
            DISTRICT,
        )
        await connection.execute(
            "INSERT INTO fitting (device_id, asset_id, fitted_from) VALUES ($1, $2, now())", device, asset_id
        )
        await connection.execute("INSERT INTO device_state (device_id) VALUES ($1)", device)
        for source, alias in {"native": name, **(aliases or {})}.items():
            await connection.execute(
                "INSERT INTO device_alias (source, alias, device_id) VALUES ($1, $2, $3)", source, alias, device
            )
    return int(device)
