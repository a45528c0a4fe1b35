"""Silences (静默) and maintenance windows (维护窗口): order, list, show, end, and see what they hid."""

from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Response

from api.fields import Id, Word
from api.models.alerts import Alert
from api.models.silences import NewSilence, Silence
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.registration import Objection, RegistrationError
from api.security import Reader, Silencer
from domain.errors import ConflictError, NotFoundError
from domain.silence import LONGEST_SILENCE, SilenceScope, SilenceSort, SilenceState
from store import silence_views
from store.alert_views import AlertFilter, AlertPlace, list_alerts
from store.silence_views import SilenceFilter, SilenceRow, end_silence, find_silence, list_silences, make_silence

router: Final = APIRouter(prefix="/v1/silences", tags=["silences"])

_SLOW_CLOCK: Final = timedelta(minutes=5)
"""The caller's clock may be so far behind ours that its "now" seems past."""


@router.get("", responses=documented(401, 422))
async def silences(
    parts: PartsOf,
    _: Reader,
    state: SilenceState | None = None,
    kind: SilenceSort | None = None,
    device: Word | None = None,
    asset: Word | None = None,
    rule: Word | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Silence]:
    """List silences and maintenance windows, newest first. `device`, `asset` and `rule` are what their scope names."""
    now = parts.clock.now()
    wanted = SilenceFilter(state, kind, device, asset, rule)
    rows = await list_silences(parts.pool, wanted, now=now, after=read_cursor(cursor, int, int), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.id,))
    return Page(items=[Silence.of(row, now) for row in shown], next=following)


@router.post("", status_code=201, responses=documented(401, 403, 422))
async def order(parts: PartsOf, caller: Silencer, body: NewSilence, response: Response) -> Silence:
    """Order a silence. From then on alerts that it fits are judged and stored as ever, and ask for no ticket.

    Those that fire already are muted within a second; tickets that stand stay. What fires when it ends has its ticket
    within a second.
    """
    now = parts.clock.now()
    scope = body.scope.plain()
    starts_at = now if body.starts_at is None else body.starts_at
    objections = [Objection(f"scope.{name}", expected) for name, expected in await _objections(parts, scope)]
    if starts_at < now - _SLOW_CLOCK:
        objections.append(Objection("starts_at", "now or later: what was decided before cannot be silenced"))
    starts_at = max(starts_at, now)
    if not starts_at < body.ends_at <= starts_at + LONGEST_SILENCE:
        objections.append(Objection("ends_at", f"after its start and now, by at most {LONGEST_SILENCE.days} days"))
    if objections:
        raise RegistrationError(objections)
    wanted = silence_views.NewSilence(body.kind, scope, starts_at, body.ends_at, caller.name, body.reason)
    number = await make_silence(parts.pool, wanted, now)
    response.headers["Location"] = f"/v1/silences/{number}"
    return await _show(parts, number)


@router.get("/{number}", responses=documented(401, 404, 422))
async def silence(number: Id, parts: PartsOf, _: Reader) -> Silence:
    """Show one silence, and how much it hid."""
    return await _show(parts, number)


@router.post("/{number}/end", responses=documented(401, 403, 404, 409, 422))
async def end(number: Id, parts: PartsOf, caller: Silencer) -> Silence:
    """End a silence before its time, or before it began. What still fires has its ticket within a second."""
    await _find(parts, number)
    if not await end_silence(parts.pool, number, by=caller.name, now=parts.clock.now()):
        raise ConflictError(f"The silence {number} has ended.")
    return await _show(parts, number)


@router.get("/{number}/hidden", responses=documented(401, 404, 422))
async def hidden(number: Id, parts: PartsOf, _: Reader, cursor: Cursor = None, limit: Limit = 100) -> Page[Alert]:
    """List the alerts that a silence mutes or muted, as `/v1/alerts` does; also those that have cleared."""
    row = await _find(parts, number)
    wanted = AlertFilter(hidden_by=(row.sort.value, str(row.id)))
    after = read_cursor(cursor, AlertPlace, bool, int, int)
    rows = await list_alerts(parts.pool, wanted, after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda one: (one.acknowledged_at is not None, one.severity, one.id))
    return Page(items=[Alert.of(one) for one in shown], next=following)


async def _objections(parts: Parts, scope: SilenceScope) -> list[tuple[str, str]]:
    """A misspelt scope would silence nobody, and be noticed by night."""
    unknown = await silence_views.unknown_in(parts.pool, scope)
    known = {"kind": scope.kind in parts.kinds, "rule": bool(scope.rule and parts.vocabulary.kinds_with(scope.rule))}
    return [
        (name, f"{_WORDS[name]}, not {value!r}")
        for name, value in scope.given()
        if name in unknown and not known.get(name, False)
    ]


_WORDS: Final = {
    "device": "the name of a device",
    "asset": "the name of an asset",
    "model": "the model of some device",
    "owner": "the owner of some asset",
    "grid": "the unit grid of some asset",
    "circuit": "the circuit of some asset",
    "site": "the site of some asset",
    "kind": "a kind of device",
    "rule": "the key of a rule",
}


async def _find(parts: Parts, number: int) -> SilenceRow:
    row = await find_silence(parts.pool, number)
    if row is None:
        raise NotFoundError(f"There is no silence {number}.")
    return row


async def _show(parts: Parts, number: int) -> Silence:
    return Silence.of(await _find(parts, number), parts.clock.now())
