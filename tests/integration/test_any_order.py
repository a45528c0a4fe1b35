"""Any order, duplication and crash splitting of a stream upholds the same alerts as the stream in order: stateful."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from unittest.mock import patch

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.alert import Severity, Step, Transition
from domain.alert_change import fold
from domain.device import Device
from domain.instants import to_micros
from domain.reading import Reading
from ingest.delivery import Delivery
from ingest.format import Sample
from ingest.normalise import TimeBounds, limits_of, normalise
from rules.engine import Hearing, judge, tick
from rules.kinds.combined import Combined, Match
from rules.kinds.counter import Counter, Looks
from rules.kinds.rate import Rate
from rules.kinds.repeat import Repeat
from rules.kinds.stuck import Stuck
from rules.kinds.threshold import Threshold
from rules.kinds.window import Window
from rules.levels import Side
from rules.plan import Plan, make_plan
from rules.rule import Level, Rule
from rules.tracks import Tracks
from service.cases import Cases
from service.flow import Flow
from service.known import KnownDevices
from service.ticker import Ticker
from store.pool import open_pool
from tests.support.api import StillClock
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import topic
from tests.support.registered import register

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
END = START + timedelta(hours=2)
INTERVAL_S = 60.0
"""Readings stay valid for 90 s: streams with gaps and without come up."""
KINDS = load_kinds()
KIND = KINDS["manhole"]
REMEMBERING = replace(
    KIND,
    rules=(
        Rule(
            "manhole.keeps",
            "Keeps on",
            "保持",
            Threshold(
                "tilt_deg", (Level(Severity.MINOR, 12.0, 10.0, hold_s=8.0, keep_s=16.0), Level(Severity.MAJOR, 90))
            ),
            "0101-1",
        ),
        Rule(
            "manhole.rate",
            "Rate",
            "变化率",
            Rate(measure="tilt_deg", over_s=24.0, per_s=8.0, levels=(Level(Severity.MINOR, 5.0, hold_s=8.0),)),
            "0101-1",
        ),
        Rule(
            "manhole.repeat",
            "Repeat",
            "重复",
            Repeat(measure="lid_open", times=2, of=3, levels=(Level(Severity.MINOR, 1.0),)),
            "0101-1",
        ),
        Rule(
            "manhole.stuck",
            "Stuck",
            "僵死",
            Stuck(measure="tilt_deg", levels=(Level(Severity.MINOR, 24.0),)),
            "M-stuck",
        ),
        Rule(
            "manhole.window",
            "Window",
            "窗口",
            Window(
                measure="tilt_deg", window_s=32.0, at_least=2, levels=(Level(Severity.MINOR, 18.0, 10.0, keep_s=8.0),)
            ),
            "0101-1",
        ),
        Rule(
            "manhole.back",
            "Runs back",
            "倒走",
            Counter(measure="free_height_m", looks=Looks.BACK, levels=(Level(Severity.MINOR, 0.5),)),
            "0101-1",
        ),
        Rule(
            "manhole.together",
            "Together",
            "组合",
            Combined(
                match=Match.ALL,
                parts=(
                    Threshold("tilt_deg", (Level(Severity.MINOR, 15.0, 11.0),)),
                    Threshold("free_height_m", (Level(Severity.MINOR, 0.7, 0.8),), Side.BELOW),
                ),
                hold_s=8.0,
            ),
            "0101-1",
        ),
    ),
)
"""Every rule kind that remembers, with times that the streams below go through."""
DEVICES = 2
WORKERS = 2
"""One device's messages come by either, as they do on a shared subscription."""
EXAMPLES = int(os.environ.get("STREETWARDEN_TEST_EXAMPLES", "60"))
"""Streams tried; a full search: STREETWARDEN_TEST_EXAMPLES=3000."""


class Message(NamedTuple):
    """One reading, as its device would send it."""

    device: int
    second: int
    values: tuple[tuple[str, float | bool], ...]

    @property
    def at(self) -> datetime:
        return START + timedelta(seconds=self.second)


VALUES = st.one_of(
    st.sampled_from([1.0, 12.0, 20.0, 95.0]).map(lambda tilt: (("tilt_deg", tilt),)),
    st.booleans().map(lambda lid: (("lid_open", lid),)),
    st.tuples(st.sampled_from([0.05, 0.6, 2.0]), st.sampled_from([1.0, 20.0])).map(
        lambda both: (("free_height_m", both[0]), ("tilt_deg", both[1]))
    ),
)
MESSAGES = st.lists(
    st.builds(
        Message, device=st.integers(0, DEVICES - 1), second=st.integers(0, 14).map(lambda n: n * 8), values=VALUES
    ),
    min_size=5,
    max_size=16,
    unique=True,
)


class CrashError(Exception):
    """The process died before its commit."""


def in_order(messages: Iterable[Message], plan: Plan) -> set[tuple[object, ...]]:
    """Every alert that the stream raises when each reading comes in its order: rule, onset, and how it ended."""
    tracks = Tracks()
    steps: list[Transition] = []
    for reading in sorted((as_reading(message) for message in messages), key=lambda one: (one.at, one.digest)):
        steps += judge(plan, tracks, reading, Hearing(None, None))
    steps += tick(plan, tracks, 1, END, Hearing(None, None))
    return {
        (change.key[1], change.key[2], change.state.value, int(change.peak), change.steps[0].at, change.cleared_at)
        for change in fold(steps)
        if change.steps[0].step is Step.OPENED
    }


def as_reading(message: Message) -> Reading:
    device = Device(1, "x", "manhole", "511703")
    bounds = TimeBounds(timedelta(minutes=5), timedelta(days=400))
    return normalise(device, limits_of(KIND), Sample("x", message.at, dict(message.values)), END, bounds)


class Deliveries(RuleBasedStateMachine):
    """Messages under way to workers that tick and crash; each is delivered at least once, in whatever order."""

    url: str = ""
    serial: int = 0
    kind: DeviceKind = KIND

    @initialize(messages=MESSAGES)
    def begin(self, messages: list[Message]) -> None:
        type(self).serial += 1
        self.messages = messages
        self.under_way = list(messages)
        self.delivered: list[Message] = []
        self.names = [f"D{type(self).serial}-{number}" for number in range(DEVICES)]
        self.clock = StillClock(START)
        self.token = 0
        self.runner = asyncio.Runner()
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.pool: Any = await open_pool(self.url, application_name="test", max_size=2)
        self.ids = [
            # Both on one cover: their alerts meet in its tickets.
            await register(self.pool, name, interval_s=INTERVAL_S, asset=f"asset-{self.names[0]}")
            for name in self.names
        ]
        self.flows = [await self._new_flow(worker) for worker in range(WORKERS)]
        kinds = {**KINDS, self.kind.key: self.kind}
        cases = Cases(ZONE)
        await cases.start(self.pool, [one for kind in kinds.values() for one in kind.rules], START)
        self.ticker = Ticker(self.pool, KnownDevices(kinds), cases, LATE_BOUND)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), crash=st.booleans(), together=st.integers(1, 4), worker=st.integers(0, WORKERS - 1))
    def deliver(self, data: st.DataObject, together: int, worker: int, *, crash: bool) -> None:
        """Some of what is under way arrives as one batch; a crash before its commit brings it again, some day."""
        batch = data.draw(st.permutations(self.under_way))[:together]
        self._settle(batch, worker, crash=crash)
        if not crash:
            self.under_way = [message for message in self.under_way if message not in batch]
            self.delivered += batch

    @precondition(lambda self: self.delivered)
    @rule(data=st.data(), worker=st.integers(0, WORKERS - 1))
    def deliver_again(self, data: st.DataObject, worker: int) -> None:
        """What was settled before arrives once more, with its DUP mark or as a repeat of the device's own."""
        self._settle(data.draw(st.lists(st.sampled_from(self.delivered), min_size=1, max_size=4)), worker, crash=False)

    @rule(seconds=st.integers(0, 90))
    def time_passes(self, seconds: int) -> None:
        """The clock decides what is due."""
        self.clock.time = min(END, self.clock.time + timedelta(seconds=seconds))
        self.runner.run(self._tick())

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        with self.runner:
            try:
                if self.under_way:
                    self._settle(self.under_way, 0, crash=False)
                self.clock.time = END
                self.runner.run(self._tick())
                self.runner.run(self._compare())
            finally:
                self.runner.run(self.pool.close())

    def _settle(self, batch: list[Message], worker: int, *, crash: bool) -> None:
        self.clock.time = max(self.clock.time, *(message.at for message in batch))
        self.runner.run(self._settle_at(batch, worker, crash=crash))

    async def _settle_at(self, batch: list[Message], worker: int, *, crash: bool) -> None:
        self.token += 1
        deliveries = [
            Delivery(
                topic(self.names[message.device]),
                orjson.dumps({"ts": to_micros(message.at) // 1000, "values": dict(message.values)}),
                self.clock.time,
                1 + place,
                message in self.delivered,
                1,
            )
            for place, message in enumerate(batch)
        ]
        if not crash:
            await self.flows[worker].settle(deliveries, self.token)
            return
        with suppress(CrashError), patch("service.flow.write_token", side_effect=CrashError):
            await self.flows[worker].settle(deliveries, self.token)
        self.flows[worker] = await self._new_flow(worker)

    async def _new_flow(self, worker: int) -> Flow:
        kinds = {**KINDS, self.kind.key: self.kind}
        return await flow_on(self.pool, f"worker-{self.names[0]}-{worker}", self.clock, kinds=kinds)

    async def _tick(self) -> None:
        while await self.ticker.look(self.clock.time, {}):
            pass

    async def _compare(self) -> None:
        plan = make_plan(
            self.kind.rules, interval_s=INTERVAL_S, validity_factor=self.kind.validity_factor, overrides={}
        )
        for number, device_id in enumerate(self.ids):
            rows = await self.pool.fetch(
                "SELECT rule, onset, state, peak, fired_at, cleared_at, standing FROM alert WHERE device_id = $1",
                device_id,
            )
            upheld = {tuple(row[:6]) for row in rows if row["standing"] == "upheld"}
            expected = in_order((m for m in self.messages if m.device == number), plan)
            assert upheld == expected, f"device {number}: {upheld} are upheld; in order {expected}"
            assert all(row["state"] == "cleared" for row in rows if row["standing"] == "contradicted")
            stored = await self.pool.fetchval("SELECT count(*) FROM reading WHERE device_id = $1", device_id)
            assert stored == sum(message.device == number for message in self.messages)
            await self._compare_tickets(device_id)

    async def _compare_tickets(self, device_id: int) -> None:
        """Each ticket counts just the alerts that fire behind it, and none is open twice for one subject."""
        wrong = await self.pool.fetch(
            "SELECT t.number, t.state, t.firing, t.review, a.firing AS behind, a.upheld FROM ticket AS t "
            "JOIN fitting AS f ON f.asset_id = t.asset_id AND f.device_id = $1 "
            "CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE state = 'firing') AS firing, "
            "count(*) FILTER (WHERE standing = 'upheld') AS upheld FROM alert WHERE ticket_id = t.id) AS a "
            # One that was resolved before it was contradicted stays so, and waits for a person all the same.
            "WHERE t.firing <> a.firing OR (t.state = 'open' AND a.firing = 0 AND NOT t.review) "
            "OR (t.state = 'resolved' AND a.firing > 0) OR (t.review AND a.upheld > 0)",
            device_id,
        )
        assert not wrong, [dict(row) for row in wrong]


class DeliveriesToRulesThatRemember(Deliveries):
    """The same, to rules on several readings."""

    kind = REMEMBERING


@pytest.mark.parametrize("machine", [Deliveries, DeliveriesToRulesThatRemember])
def test_every_order_duplication_and_crash_upholds_the_same_alerts(
    machine: type[Deliveries], database_url: str
) -> None:
    machine.url = database_url
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
