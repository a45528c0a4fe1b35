"""API keys: made once, shown once, kept as hashes."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Final, NamedTuple

from domain.errors import InvalidInputError, NotFoundError
from domain.role import Role
from store.connection import Pool

_FORM: Final = re.compile(r"sw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_SECRET_BYTES: Final = 32
"""256 bits: nobody guesses it, so a plain SHA-256 is enough and no slow password hash burdens each request."""
_LONGEST_NAME: Final = 100


class ApiKey(NamedTuple):
    """A key as people may see it."""

    id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


class StoredKey(NamedTuple):
    """A key as the database holds it."""

    id: str
    name: str
    role: Role
    digest: bytes
    """SHA-256 of the secret."""


class Presented(NamedTuple):
    """What a client sent: which key it claims, and the digest of its secret."""

    id: str
    digest: bytes


def read_key(text: str) -> Presented | None:
    """Take a presented key apart, or ``None`` if it has not the form of one."""
    match = _FORM.fullmatch(text)
    return None if match is None else Presented(match[1], _digest(match[2]))


def fits(presented: Presented, stored: StoredKey) -> bool:
    """Whether the secrets are the same, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(presented.digest, stored.digest)


_INSERT: Final = "INSERT INTO api_key (id, name, role, secret, created_at) VALUES ($1, $2, $3, $4, $5)"


async def create_key(pool: Pool, *, name: str, role: Role | str, now: datetime) -> str:
    """Make a key and return its plain text, which exists nowhere afterwards.

    Raises:
        InvalidInputError: the name is empty or too long, or the role unknown.
    """
    if not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise InvalidInputError(f"A key needs a name of 1 to {_LONGEST_NAME} characters that says who holds it.")
    if role not in list(Role):
        raise InvalidInputError(f"There is no role {role!r}; the roles are {', '.join(Role)}.")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(_SECRET_BYTES)
    await pool.execute(_INSERT, key_id, name.strip(), Role(role).value, _digest(secret), now)
    return f"sw_{key_id}_{secret}"


_STANDING: Final = "SELECT id, name, role, secret FROM api_key WHERE id = $1 AND revoked_at IS NULL"


async def find_key(pool: Pool, key_id: str) -> StoredKey | None:
    """The key of that id, if it was never revoked."""
    record = await pool.fetchrow(_STANDING, key_id)
    if record is None or record["role"] not in list(Role):
        return None
    return StoredKey(record["id"], record["name"], Role(record["role"]), record["secret"])


_ANY_ADMIN: Final = "SELECT EXISTS (SELECT FROM api_key WHERE role = $1 AND revoked_at IS NULL) AS found"


async def any_admin_key(pool: Pool) -> bool:
    """Whether somebody could manage keys."""
    record = await pool.fetchrow(_ANY_ADMIN, Role.ADMIN.value)
    return record is not None and bool(record["found"])


_ANY: Final = "SELECT EXISTS (SELECT FROM api_key WHERE revoked_at IS NULL) AS found"


async def any_key(pool: Pool) -> bool:
    """Whether anybody holds a key."""
    record = await pool.fetchrow(_ANY)
    return record is not None and bool(record["found"])


_LIST: Final = "SELECT id, name, role, created_at, revoked_at FROM api_key ORDER BY created_at, id"


async def list_keys(pool: Pool) -> list[ApiKey]:
    """Every key there ever was, oldest first; never a secret."""
    return [
        ApiKey(record["id"], record["name"], Role(record["role"]), record["created_at"], record["revoked_at"])
        for record in await pool.fetch(_LIST)
    ]


_REVOKE: Final = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING id"


async def revoke_key(pool: Pool, key_id: str, now: datetime) -> None:
    """Make a key worthless; revoking twice keeps the first time.

    Raises:
        NotFoundError: no key has that id.
    """
    if await pool.fetchrow(_REVOKE, key_id, now) is None:
        raise NotFoundError(f"There is no key with the id {key_id!r}; `streetwarden key list` shows the ids.")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
