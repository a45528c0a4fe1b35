"""Whether the books balance after a test, deep: minutes, devices, states and rows of readings."""

from typing import Any

from api.ledger_report import Checked, check_ledger
from store.ledger_check import Scope
from tests.support.flow import ZONE


async def deviations(pool: Any) -> list[str]:
    return [sentence for each in await checked(pool) for sentence in each.sentences]


async def checked(pool: Any) -> list[Checked]:
    return await check_ledger(pool, Scope(ZONE), deep=True)
