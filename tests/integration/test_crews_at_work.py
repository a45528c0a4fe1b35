"""Crews on the real service: they acknowledge what fires, in their own name, and write down what they could not do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from domain.role import Role
from simulators.crews.duties import Move
from simulators.crews.paths import Deed, read_paths, write_paths
from simulators.crews.shift import Shift
from simulators.service_api import ServiceApi
from tests.support.api import client
from tests.support.brokers import Broker
from tests.support.ingest import ingesting
from tests.support.small_run import FACTS, LASTS, STEP, compose, play, register_city


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_crew_takes_on_what_fires_and_writes_down_what_the_service_does_not_offer(
    pool: asyncpg.Pool, embedded_broker: Broker, tmp_path: Path
) -> None:
    await register_city(pool)
    run = compose(datetime.now(UTC) - timedelta(hours=4))
    until_bin_is_full = round(1.5 * LASTS / STEP) * len(FACTS.devices)
    async with ingesting(pool, embedded_broker.url):
        await play(pool, embedded_broker.url, run.messages[:until_bin_is_full])
    clock = Hands()
    async with client(pool, Role.OPERATOR) as http:
        shift = Shift(ServiceApi(http), run.info, run.faults, seed=4, now=clock)
        await shift.look()
        await shift.act()
        [path] = shift.paths()
        assert (path.fault, path.case_class, path.asset) == ("F1", "E01-92", "A-bin-1")
        assert {step.deed for step in path.path} == {Deed.NOT_DUE}

        clock.seconds = 1.0  # at this speed an hour: the operator has seen it
        await shift.look()
        await shift.act()
        shown = (await http.get("/v1/alerts", params={"device": "bin-1"})).json()["items"]
        assert [(alert["owner"], alert["acknowledged_by"]) for alert in shown] == [
            ("operator 值班员", "test operator"),
        ]

        clock.seconds = 1000.0
        await shift.act()
        counted = shift.count()
    assert counted[Move.ACKNOWLEDGE, Deed.DONE] == 1
    assert counted[Move.DISPATCH, Deed.NOT_POSSIBLE] >= 1
    assert {deed for _, deed in counted} == {Deed.DONE, Deed.NOT_POSSIBLE}
    write_paths(tmp_path, shift.paths())
    [kept] = read_paths(tmp_path)
    assert kept.path[-1].move == Move.CLOSE


async def test_a_key_that_may_not_acknowledge_is_written_down_as_a_failure(
    pool: asyncpg.Pool, embedded_broker: Broker
) -> None:
    await register_city(pool)
    run = compose(datetime.now(UTC) - timedelta(hours=4))
    async with ingesting(pool, embedded_broker.url):
        await play(pool, embedded_broker.url, run.messages[: 10 * len(FACTS.devices)])
    clock = Hands()

    async def pause(seconds: float) -> None:
        clock.seconds += seconds

    async with client(pool, Role.VIEWER) as http:
        shift = Shift(ServiceApi(http), run.info, run.faults, seed=4, now=clock)
        await shift.work(10.0, pause)
    failed = [step for path in shift.paths() for step in path.path if step.deed is Deed.FAILED]
    assert [step.move for step in failed] == [Move.ACKNOWLEDGE]
    assert "403" in failed[0].why
