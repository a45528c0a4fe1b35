"""Rules: those in force, each with its history and trial; write, remove and restore rules of the book."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Path, Query, Response

from api.changes import matches
from api.fields import Name
from api.models.rules import (
    NewRule,
    RefusedRuleFile,
    Restoring,
    RuleChange,
    RuleDetail,
    RuleInForce,
    RuleRevision,
    RulesInForce,
    ShadowAlert,
    ShadowTally,
)
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.registration import Objection, RegistrationError
from api.rule_desk import Shown, default_of, digest_of, entry_of, every_rule, to_be_named
from api.security import Caller, Reader, Registrar
from devices.own_kind import OWN_KIND
from devices.rule_book import BookRule, read_rule
from domain.errors import ChangedMeanwhileError, ConflictError, NotFoundError
from rules.parameters import WrongParametersError
from store.registry_views import RevisionRow, find_revision, list_revisions
from store.rule_book import Author, BookWriting, document_of_revision, find_in_book, refused_files, rule_history
from store.shadow_alerts import count_shadow_alerts, list_shadow_alerts

router: Final = APIRouter(prefix="/v1/rules", tags=["rules"])

Revisions = Mapping[tuple[str, str], RevisionRow]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=200, description="The `ETag` of the rule as you saw it: if it has changed since, nothing is done."
    ),
]
Reason = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$", description="Stands in the history.")]


@router.get("", responses=documented(401))
async def rules(parts: PartsOf, _: Reader) -> RulesInForce:
    """List the rules as they stand, of the service and of the book, each with the revision that alerts name."""
    known = _by_form(await list_revisions(parts.pool))
    shown = [
        *await every_rule(parts.pool, parts.kinds),
        *(Shown(BookRule(r, OWN_KIND.key), None) for r in OWN_KIND.rules),
    ]
    refused = [RefusedRuleFile.of(row) for row in await refused_files(parts.pool)]
    return RulesInForce(items=[RuleInForce(**_told(one, known)) for one in shown], refused_files=refused)


@router.get("/{key}", responses=documented(401, 404))
async def rule(key: Name, parts: PartsOf, _: Reader, response: Response) -> RuleDetail:
    """Show one rule: that of the book, if there is one with this key, else the default."""
    return await _detail(parts, key, response)


@router.put("/{key}", responses=documented(401, 403, 404, 412, 422))
async def put_rule(
    key: Name, body: NewRule, parts: PartsOf, caller: Registrar, response: Response, if_match: IfMatch = None
) -> RuleDetail:
    """Write a rule into the book, in force within a second; what it leaves out of a default's rule is as there.

    Pending holds and alerts go on. `shadow` puts it on trial beside a default; `enabled: false` switches a default off.
    """
    given = {"key": key, **body.rule}
    if given["key"] != key:
        raise RegistrationError([Objection("rule.key", f"{key}, as in the path, or nothing")])
    one = _read(given, parts, await to_be_named(parts.pool))
    async with _writing(parts, caller, body.reason) as writing:
        _require_match(if_match, key, writing, parts)
        await writing.write([entry_of(one)])
    return await _detail(parts, key, response)


@router.delete("/{key}", status_code=204, responses=documented(401, 403, 404, 409, 412))
async def remove_rule(
    key: Name, parts: PartsOf, caller: Registrar, reason: Reason = "", if_match: IfMatch = None
) -> None:
    """Take a rule out of the book: a default with its key is in force again, and what else it raised clears."""
    async with _writing(parts, caller, reason) as writing:
        if key not in writing.standing:
            if default_of(key, parts.kinds) is not None:
                raise ConflictError(f"{key} is a default; to switch it off, write it with enabled: false.")
            raise _no_rule(key)
        _require_match(if_match, key, writing, parts)
        await writing.remove([key])


@router.post("/{key}/restore", responses=documented(401, 403, 404, 412, 422))
async def restore(
    key: Name, body: Restoring, parts: PartsOf, caller: Registrar, response: Response, if_match: IfMatch = None
) -> RuleDetail:
    """Put a rule into force as it once stood in the book; that of a default takes the rule out of the book."""
    default = default_of(key, parts.kinds)
    document = await document_of_revision(parts.pool, key, body.digest)
    of_default = default is not None and digest_of(default) == body.digest
    if document is None and not of_default:
        raise NotFoundError(f"{key} never stood in the book as {body.digest}; /v1/rules/{key}/history lists its forms.")
    one = None if document is None else _read(orjson.loads(document), parts, await to_be_named(parts.pool))
    async with _writing(parts, caller, body.reason) as writing:
        _require_match(if_match, key, writing, parts)
        if one is None:
            await writing.remove([key])
        else:
            await writing.write([entry_of(one)])
    return await _detail(parts, key, response)


@router.get("/{key}/history", responses=documented(401, 422))
async def history(key: Name, parts: PartsOf, _: Reader, cursor: Cursor = None, limit: Limit = 100) -> Page[RuleChange]:
    """List what was done to a rule of the book, the latest first: who, when, from where and why."""
    rows = await rule_history(parts.pool, key, before=read_cursor(cursor, int, int), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.id,))
    return Page(items=[RuleChange.of(row) for row in shown], next=following)


@router.get("/{key}/revisions/{digest}", responses=documented(401, 404, 422))
async def revision(key: Name, digest: Digest, parts: PartsOf, _: Reader) -> RuleRevision:
    """Show one form of a rule, as it was judged: also on a device with parameters of its own."""
    found = await find_revision(parts.pool, key, digest)
    if found is None:
        raise NotFoundError(f"There is no revision {digest} of {key}.")
    return RuleRevision.of(*found)


@router.get("/{key}/shadow-alerts", responses=documented(401, 422))
async def shadow_alerts(
    key: Name, parts: PartsOf, _: Reader, cursor: Cursor = None, limit: Limit = 100
) -> Page[ShadowAlert]:
    """List what a rule would have raised while it was in shadow, the latest first."""
    rows = await list_shadow_alerts(parts.pool, key, after=read_cursor(cursor, int, int), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.id,))
    return Page(items=[ShadowAlert.of(row) for row in shown], next=following)


@asynccontextmanager
async def _writing(parts: Parts, caller: Caller, reason: str) -> AsyncGenerator[BookWriting]:
    """The book, for the one who writes in it; devices that a change concerns are looked at afterwards."""
    async with parts.pool.acquire() as connection, connection.transaction():
        writing = BookWriting(connection, Author(caller.name, "api", reason), parts.clock.now())
        await writing.lock()
        yield writing
        await writing.wake()


def _read(given: Mapping[str, object], parts: Parts, beside: Collection[str] | None = None) -> BookRule:
    try:
        return read_rule(given, parts.kinds, beside)
    except WrongParametersError as error:
        told = [Objection(".".join(map(str, ("rule", *each.path))), each.complaint) for each in error.objections]
        raise RegistrationError(told) from error


def _require_match(if_match: str | None, key: str, writing: BookWriting, parts: Parts) -> None:
    if if_match is None:
        return
    row, default = writing.standing.get(key), default_of(key, parts.kinds)
    present = row.digest if row is not None else None if default is None else digest_of(default)
    if present is None or not matches(if_match, _tag(present)):
        raise ChangedMeanwhileError(
            f"{key} has changed since you saw it, or is gone: read it anew, and decide whether your change still holds."
        )


async def _detail(parts: Parts, key: str, response: Response) -> RuleDetail:
    default = default_of(key, parts.kinds)
    row = await find_in_book(parts.pool, key)
    if row is not None:
        shown = Shown(_read(orjson.loads(row.document), parts), row)
    elif default is not None:
        shown = Shown(default, None)
    else:
        raise _no_rule(key)
    found = await find_revision(parts.pool, key, shown.digest)
    known = _by_form([] if found is None else [found[0]])
    response.headers["ETag"] = _tag(shown.digest)
    return RuleDetail(
        **_told(shown, known),
        rule=shown.written.document(),
        default=None if default is None else default.document(),
        shadow_alerts=ShadowTally.of(await count_shadow_alerts(parts.pool, key)),
    )


def _told(shown: Shown, known: Revisions) -> dict[str, Any]:
    one, row = shown
    seen = known.get((one.rule.key, shown.digest))
    return {
        "key": one.rule.key,
        "kind": one.device_kind,
        "enabled": one.enabled,
        "shadow": one.rule.shadow,
        "source": "default" if row is None else row.source,
        "file": None if row is None else row.file,
        "author": None if row is None else row.author,
        "updated_at": None if row is None else row.updated_at,
        "digest": shown.digest,
        "revision": None if seen is None else seen.id,
        "since": None if seen is None else seen.created_at,
        "body": one.as_data(),
    }


def _by_form(rows: list[RevisionRow]) -> Revisions:
    return {(row.key, row.digest): row for row in rows}


def _tag(digest: str) -> str:
    return f'"{digest}"'


def _no_rule(key: str) -> NotFoundError:
    return NotFoundError(f"There is no rule {key}; /v1/rules lists those there are.")
