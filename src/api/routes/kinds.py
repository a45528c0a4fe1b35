"""Kinds of devices: what the service knows before any device speaks."""

from typing import Final

from fastapi import APIRouter

from api.fields import Name
from api.models.catalogue import Kind, Kinds, KindSummary
from api.parts import PartsOf
from api.problems import documented
from api.security import Reader
from domain.errors import NotFoundError

router: Final = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/kinds", responses=documented(401))
async def kinds(parts: PartsOf, _: Reader) -> Kinds:
    """List the kinds of devices with their measures and units."""
    return Kinds(items=[KindSummary.of(kind) for kind in parts.kinds.values()])


@router.get("/kinds/{key}", responses=documented(401, 404))
async def kind(key: Name, parts: PartsOf, _: Reader) -> Kind:
    """Show one kind: measures, units, limits, interval, default rules, faults."""
    found = parts.kinds.get(key)
    if found is None:
        raise NotFoundError(f"There is no kind {key}; there are {', '.join(sorted(parts.kinds))}.")
    return Kind.whole(found)
