"""A neighbour away for seconds: the short form of ``python -m tests.chaos database-away`` and ``broker-away``."""

from pathlib import Path

import pytest

from tests.chaos.outages import Away, OutageOrder, run_outage
from tests.chaos.world import CONFIGURATIONS


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("away", "inbox_mib"), [(Away.DATABASE, 64), (Away.BROKER, 64)])
def test_an_outage_costs_memory_no_more_than_its_bound_and_no_message(
    away: Away, inbox_mib: int, tmp_path: Path
) -> None:
    order = OutageOrder(
        away, CONFIGURATIONS["embedded"], away_s=5.0, before_s=2.0, rate=1000.0, devices=192, inbox_mib=inbox_mib
    )
    result = run_outage(order, tmp_path)
    during = [one for one in result.samples if one.at_s > 2]
    assert during
    if away is Away.DATABASE:
        assert any(one.ready is False for one in during)
    wrong = {check.name: (check.wrong, check.detail, check.ids) for check in result.violations}
    assert wrong == {}
