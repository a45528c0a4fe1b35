"""What models, owners, unit grids, circuits and sites set differently in rules: list, show, set, take back."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query

from api.fields import Name, Word
from api.models.rule_overrides import NewOverride, Override, OverrideDetail
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.registration import RegistrationError, object_to_override
from api.security import Reader, Registrar
from domain.errors import NotFoundError
from domain.scope import Group, Scope
from store.rule_overrides import (
    OverrideRow,
    count_devices,
    delete_override,
    find_override,
    list_overrides,
    put_override,
)

router: Final = APIRouter(prefix="/v1/rule-overrides", tags=["catalogue"])

GroupScope = Literal[Scope.MODEL, Scope.OWNER, Scope.GRID, Scope.CIRCUIT, Scope.SITE]
GroupName = Annotated[str, Path(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
"""An owner's name may hold a slash."""

_ONE: Final = "/{scope}/{name:path}/{rule}"


@router.get("", responses=documented(401, 422))
async def overrides(
    parts: PartsOf,
    _: Reader,
    scope: GroupScope | None = None,
    name: Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]*$")] = None,
    rule: Word | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Override]:
    """List what groups set differently, by scope, name and rule."""
    rows = await list_overrides(
        parts.pool, scope=scope, name=name, rule=rule, after=read_cursor(cursor, _place, str, str, str), limit=limit + 1
    )
    shown, following = cut(rows, limit, lambda row: (row.scope, row.name, row.rule))
    return Page(items=[Override.of(row) for row in shown], next=following)


@router.get(_ONE, responses=documented(401, 404, 422))
async def override(parts: PartsOf, _: Reader, scope: GroupScope, name: GroupName, rule: Name) -> OverrideDetail:
    """Show what a group sets differently in a rule."""
    return await _detail(parts, Group(scope, name), rule)


@router.put(_ONE, responses=documented(401, 403, 404, 422))
async def set_override(
    parts: PartsOf, caller: Registrar, scope: GroupScope, name: GroupName, rule: Name, body: NewOverride
) -> OverrideDetail:
    """Let a group set exactly this in a rule, in effect at once.

    The narrower prevails, parameter by parameter: owner over model, then grid, circuit, site, and a device's own
    `overrides` last.
    """
    group = Group(scope, name)
    vocabulary = await parts.vocabulary_now()
    if not vocabulary.kinds_with(rule):
        raise NotFoundError(f"There is no rule {rule}; /v1/rules lists those in force.")
    objections = list(object_to_override(group, rule, body.parameters, vocabulary))
    if objections:
        raise RegistrationError(objections)
    row = OverrideRow(scope, name, rule, body.parameters, caller.name, body.reason, parts.clock.now())
    await put_override(parts.pool, row)
    return await _detail(parts, group, rule)


@router.delete(_ONE, status_code=204, responses=documented(401, 403, 404, 422))
async def take_back(parts: PartsOf, _: Registrar, scope: GroupScope, name: GroupName, rule: Name) -> None:
    """Let a group be judged as if it had set nothing in a rule."""
    await delete_override(parts.pool, Group(scope, name), rule, parts.clock.now())


async def _detail(parts: Parts, group: Group, rule: str) -> OverrideDetail:
    row = await find_override(parts.pool, group, rule)
    if row is None:
        raise NotFoundError(f"The {group.scope} {group.name} sets nothing in {rule}.")
    kinds = [kind.key for kind in (await parts.vocabulary_now()).kinds_with(rule)]
    return OverrideDetail.whole(row, await count_devices(parts.pool, group, kinds))


def _place(scope: str, name: str, rule: str) -> tuple[str, str, str]:
    return scope, name, rule
