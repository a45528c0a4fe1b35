"""Ingest, broker and database killed in turn, the short form of ``make chaos``: nothing is lost or double."""

import os
from pathlib import Path

import pytest

from tests.chaos.kills import Order, run
from tests.chaos.report import as_data
from tests.chaos.world import CONFIGURATIONS
from tests.support.brokers import find_mosquitto

KILLS = int(os.environ.get("STREETWARDEN_TEST_KILLS", "4"))
RATE = 2100.0
DEVICES = 192


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("configuration", ["embedded", "mosquitto"])
def test_nothing_acknowledged_is_lost_and_nothing_settled_twice(configuration: str, tmp_path: Path) -> None:
    if configuration == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    seed = int(os.environ.get("CHAOS_SEED", "7"))
    order = Order(CONFIGURATIONS[configuration], KILLS, seed, RATE, DEVICES, longest_pause_s=1.5)
    result = run(order, tmp_path, lambda _: None)
    data = as_data(result)
    print({name: data[name] for name in ("seed", "by_victim", "publisher", "ledger", "alerts", "drained_after_s")})  # noqa: T201  # figures for whoever ran it with -s
    assert set(result.kills_by_victim()) == {"ingest", "broker", "database"}
    assert result.publisher["acknowledged"] == result.publisher["total"] > KILLS * 100
    assert result.alerts["undisturbed"] > 0, "the stream raised nothing: the alerts were not tested"
    assert result.tickets > 0
    wrong = {check.name: (check.wrong, check.detail, check.ids) for check in result.violations}
    assert wrong == {}
