"""Ordinary traffic beside garbage and noise: the short form of ``python -m tests.chaos poison``."""

from pathlib import Path

import pytest

from tests.chaos.poison import PoisonOrder, Sort, run_poison
from tests.chaos.world import CONFIGURATIONS


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("sort", "configuration"), [(Sort.POISON, "embedded"), (Sort.NOISE, "embedded")])
def test_ordinary_messages_are_settled_beside_it(sort: Sort, configuration: str, tmp_path: Path) -> None:
    order = PoisonOrder(
        sort, CONFIGURATIONS[configuration], seconds=4.0, rate=400.0, poison_rate=400.0, devices=96, bound_s=60.0
    )
    result = run_poison(order, tmp_path)
    assert result.poison_acknowledged > 0
    assert result.reasons, "nothing was set aside: there was no poison"
    wrong = {check.name: (check.wrong, check.detail, check.ids) for check in result.violations}
    assert wrong == {}
