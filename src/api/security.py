"""Who asks, and whether they may: bearer keys, remembered for a few seconds, and the permission each route names."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.errors import NotAllowedError, UnauthenticatedError
from domain.role import Permission, Role, allows
from store.connection import Pool
from store.keys import StoredKey, find_key, fits, read_key

_MOST_REMEMBERED: Final = 10_000

_SCHEME: Final = HTTPBearer(
    scheme_name="key",
    bearerFormat="sw_<id>_<secret>",
    description="A key made with `streetwarden key new`.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the key that came with a request."""

    key_id: str
    name: str
    role: Role


class KeyRing:
    """Looks keys up and believes what it found for a few seconds, so that polling costs no query of its own.

    Only hashes are remembered. A revoked key opens nothing after ``memory_s`` seconds, in every process.
    """

    def __init__(self, pool: Pool, memory_s: float) -> None:
        self._pool = pool
        self._memory_s = memory_s
        self._known: dict[str, tuple[float, StoredKey]] = {}

    async def recognise(self, text: str) -> Caller:
        """Say who holds this key.

        Raises:
            UnauthenticatedError: it is no key of ours, or was revoked. Which of the two is not told.
        """
        presented = read_key(text)
        if presented is None:
            raise UnauthenticatedError("The key has not the form sw_<id>_<secret>.")
        stored = await self._find(presented.id)
        if stored is None or not fits(presented, stored):
            raise UnauthenticatedError("The key is not known here, or was revoked.")
        return Caller(stored.id, stored.name, stored.role)

    async def _find(self, key_id: str) -> StoredKey | None:
        now = time.monotonic()
        remembered = self._known.get(key_id)
        if remembered is not None and remembered[0] > now:
            return remembered[1]
        stored = await find_key(self._pool, key_id)
        self._known.pop(key_id, None)
        if stored is not None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[key_id] = now + self._memory_s, stored
        return stored


async def _caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]
) -> Caller:
    if credentials is None:
        raise UnauthenticatedError("This needs a key: send `Authorization: Bearer sw_<id>_<secret>`.")
    keys = request.app.state.parts.keys
    assert isinstance(keys, KeyRing)
    return await keys.recognise(credentials.credentials)


def _holder_of(permission: Permission) -> Callable[[Caller], Awaitable[Caller]]:
    async def demand(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if not allows(caller.role, permission):
            raise NotAllowedError(
                f"The key {caller.name!r} is of role {caller.role}, which may not {_WORDS[permission]}."
            )
        return caller

    return demand


_WORDS: Final = {
    Permission.READ: "read",
    Permission.ACKNOWLEDGE: "acknowledge alerts",
    Permission.REVIEW: "review tickets",
    Permission.SILENCE: "order silences",
    Permission.CHECK_IN: "check crews in",
    Permission.REGISTER: "change the registry",
    Permission.DIAGNOSE: "see quarantine and ledger",
    Permission.REDRIVE: "re-drive the quarantine",
    Permission.MANAGE_KEYS: "manage keys",
}

Reader = Annotated[Caller, Depends(_holder_of(Permission.READ))]
Acknowledger = Annotated[Caller, Depends(_holder_of(Permission.ACKNOWLEDGE))]
Reviewer = Annotated[Caller, Depends(_holder_of(Permission.REVIEW))]
Silencer = Annotated[Caller, Depends(_holder_of(Permission.SILENCE))]
CrewDesk = Annotated[Caller, Depends(_holder_of(Permission.CHECK_IN))]
Registrar = Annotated[Caller, Depends(_holder_of(Permission.REGISTER))]
Diagnostician = Annotated[Caller, Depends(_holder_of(Permission.DIAGNOSE))]
Redriver = Annotated[Caller, Depends(_holder_of(Permission.REDRIVE))]
KeyKeeper = Annotated[Caller, Depends(_holder_of(Permission.MANAGE_KEYS))]
