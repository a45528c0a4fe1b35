"""API keys: make, list, revoke; for those who may manage keys."""

from datetime import datetime
from typing import Final, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.fields import Name
from api.parts import PartsOf
from api.problems import documented
from api.security import KeyKeeper
from domain.errors import ConflictError
from domain.role import Role
from store.keys import ApiKey, create_key, list_keys, revoke_key

router: Final = APIRouter(prefix="/v1/keys", tags=["keys"])


class Key(BaseModel):
    """A key, without its secret."""

    id: str = Field(examples=["9f0c2b7a41de"])
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Shape one key."""
        return cls(**key._asdict())


class Keys(BaseModel):
    """Every key there ever was."""

    items: list[Key]


class NewKey(BaseModel):
    """Who shall hold a key, and as what."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "wall screen", "role": "viewer"}})

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*\S[^\x00]*$")
    role: Role


class MadeKey(BaseModel):
    """The key in plain text: shown this once."""

    key: str = Field(examples=["sw_9f0c2b7a41de_…"])


@router.get("", responses=documented(401, 403))
async def keys(parts: PartsOf, _: KeyKeeper) -> Keys:
    """List all keys, revoked ones too; secrets are nowhere."""
    return Keys(items=[Key.of(key) for key in await list_keys(parts.pool)])


@router.post("", status_code=201, responses=documented(401, 403, 422))
async def new_key(parts: PartsOf, _: KeyKeeper, body: NewKey) -> MadeKey:
    """Make a key. Its text is in this answer and nowhere else."""
    return MadeKey(key=await create_key(parts.pool, name=body.name, role=body.role, now=parts.clock.now()))


@router.post("/{key_id}/revoke", status_code=204, responses=documented(401, 403, 404, 409))
async def revoke(key_id: Name, parts: PartsOf, caller: KeyKeeper) -> None:
    """Make a key worthless; each process may honour it a few seconds longer. One's own key cannot be revoked so."""
    if key_id == caller.key_id:
        raise ConflictError("This is the key you are using; revoke it with another one, or with `streetwarden key`.")
    await revoke_key(parts.pool, key_id, parts.clock.now())
