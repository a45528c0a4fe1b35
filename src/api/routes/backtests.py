"""Backtests: try rules on what was stored; a process beside the API does it."""

from typing import Final

from fastapi import APIRouter

from api.fields import Id
from api.models.backtests import Backtest, NewBacktest
from api.parts import PartsOf
from api.problems import documented
from api.security import Reader, Registrar
from devices.rule_book import SEVERAL, read_rule
from domain.errors import InvalidInputError, NotFoundError
from rules.parameters import WrongParametersError
from store.backtests import ask_backtest, find_backtest

router: Final = APIRouter(prefix="/v1/backtests", tags=["catalogue"])


@router.post("", status_code=202, responses=documented(401, 403, 409, 422))
async def ask(parts: PartsOf, caller: Registrar, body: NewBacktest) -> Backtest:
    """Ask for stored readings to be judged by candidate rules and by those in force, or by those in force alone.

    The answer names the job; it is worked off by a process of its own, one after the other.
    """
    if body.kind is not None and body.kind not in parts.kinds:
        raise InvalidInputError(f"kind: one of {', '.join(sorted(parts.kinds))}, not {body.kind!r}")
    for number, rule in enumerate(body.rules or ()):
        try:
            one = read_rule(rule, parts.kinds)
        except WrongParametersError as error:
            raise InvalidInputError(f"rules[{number}]: {error}") from error
        if one.device_kind == SEVERAL:
            raise InvalidInputError(
                f"rules[{number}]: a backtest tries rules of single devices, and this spans several"
            )
    asked = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Backtest.of(await ask_backtest(parts.pool, asked, by=caller.name, now=parts.clock.now()))


@router.get("/{number}", responses=documented(401, 404, 422))
async def show(number: Id, parts: PartsOf, _: Reader) -> Backtest:
    """Show how far a backtest has come; once it is done, what it found."""
    row = await find_backtest(parts.pool, number)
    if row is None:
        raise NotFoundError(f"There is no backtest {number}.")
    return Backtest.of(row)
