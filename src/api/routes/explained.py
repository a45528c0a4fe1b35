"""Why a rule of a device fired at a moment, or did not: judged anew from what is stored."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.explained import explain_moment
from api.fields import Moment, Name
from api.models.explained import RuleAtMoment
from api.parts import PartsOf
from api.problems import documented
from api.security import Reader
from domain.errors import InvalidInputError
from store.rule_revisions import known_revisions, revision_of

router: Final = APIRouter(prefix="/v1/devices", tags=["catalogue"])


@router.get("/{name}/rules/{rule}/explain", responses=documented(401, 404, 422))
async def explain(
    name: Name,
    rule: Name,
    parts: PartsOf,
    _: Reader,
    at: Annotated[Moment | None, Query(description="RFC 3339; without it, now.")] = None,
) -> RuleAtMoment:
    """Explain how a rule stood at a moment: the readings it saw, how far its hold was, what broke it, what followed.

    Judged anew from the stored readings in their order, by the rule and overrides of today; the alerts are those that
    stood then.
    """
    now = parts.clock.now()
    moment = at or now
    if moment > now:
        raise InvalidInputError(f"at: not later than now ({now.isoformat()})")
    explained = await explain_moment(parts.pool, parts.kinds, name, rule, moment, parts.settings.zone.key)
    revision = revision_of(rule, explained.rule.rule.as_data())
    ids = await known_revisions(parts.pool, [revision])
    return RuleAtMoment.of(explained, moment, ids.get((revision.key, revision.digest)))
