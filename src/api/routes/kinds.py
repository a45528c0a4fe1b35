"""Kinds of devices, and the rules in force: what the service knows before any device speaks."""

from typing import Final

from fastapi import APIRouter

from api.fields import Name
from api.models.catalogue import Kind, Kinds, KindSummary, RuleInForce, RulesInForce
from api.parts import PartsOf
from api.problems import documented
from api.security import Reader
from devices.own_kind import OWN_KIND
from domain.errors import NotFoundError
from store.registry_views import list_revisions
from store.rule_revisions import revision_of

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


@router.get("/rules", responses=documented(401))
async def rules(parts: PartsOf, _: Reader) -> RulesInForce:
    """List the rules in force, each with the revision that alerts name."""
    known = {(row.key, row.digest): row for row in await list_revisions(parts.pool)}
    items: list[RuleInForce] = []
    for of_kind in (*parts.kinds.values(), OWN_KIND):
        for rule in of_kind.rules:
            body = rule.as_data()
            seen = known.get((rule.key, revision_of(rule.key, body).digest))
            items.append(
                RuleInForce(
                    key=rule.key,
                    kind=of_kind.key,
                    revision=None if seen is None else seen.id,
                    since=None if seen is None else seen.created_at,
                    body=body,
                )
            )
    return RulesInForce(items=items)
