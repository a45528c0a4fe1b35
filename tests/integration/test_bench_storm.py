"""The storm that the benchmark measures is one: every device of the fleet has its alert and its ticket afterwards."""

from pathlib import Path

import pytest

from devices.catalogue import load_kinds
from service.bench.screen import Screen
from service.bench.storm import fails_at_once, run_storm

KINDS = load_kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_fault_that_asks_for_a_ticket_at_once(kind: str) -> None:
    values = fails_at_once(KINDS[kind])
    at_rest = {measure.name: measure.rest for measure in KINDS[kind].measures}
    assert any(values[name] != at_rest[name] for name in values)


def test_a_small_storm_gives_every_figure(tmp_path: Path) -> None:
    with Screen.shown() as screen:
        figures = run_storm(12, tmp_path, screen)
    assert figures["outcome"] == {"alerts": 12, "tickets": 12, "without_ticket": 0}
    assert figures["phases"].keys() == {"healthy", "storm"}
    for phase in figures["phases"].values():
        assert phase["per_second"] > 0
        assert phase["cpu_us"].keys() == {"bench", "postgres"}
