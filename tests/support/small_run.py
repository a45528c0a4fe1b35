"""A small city played against the real service: a few devices, known faults, and what they send."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson

from devices.catalogue import load_kinds
from domain.reading import MeasureValue
from simulators.address import read_address
from simulators.publisher import Protocol, Publisher, Word
from simulators.scoring.facts import DeviceFacts, Facts, RuleFacts
from simulators.truth import Expectation, FaultInstance, Purpose, RunInfo
from tests.support.api import registered

KINDS = load_kinds()
DISTRICT = "511703"
DEVICES_OF_A_KIND = 3
FAULTS = (
    ("manhole", "opened", ("manhole.open", "manhole.tilt")),
    ("bin", "full", ("bin.full",)),
    ("bin", "fire", ("bin.fire",)),
    ("streetlight", "leaking", ("streetlight.leakage",)),
    ("gas_meter", "leak", ("gas_meter.leak",)),
)
LASTS = timedelta(minutes=20)
STEP = timedelta(minutes=1)
"""Every device reports once in so long: longer than any hold."""
RULES = {rule.key: rule for kind in KINDS.values() for rule in kind.rules}


def _name(kind: str, number: int) -> str:
    return f"{kind}-{number}"


FACTS = Facts(
    devices={
        _name(kind, number): DeviceFacts(kind, f"A-{_name(kind, number)}", STEP)
        for kind in KINDS
        for number in range(DEVICES_OF_A_KIND)
    },
    rules={
        key: RuleFacts(
            timedelta(seconds=min(level.hold_s for level in rule.condition.levels)), rule.condition.silence_intervals
        )
        for key, rule in RULES.items()
    },
)


@dataclass
class SmallRun:
    """What is played: one fault a kind of fault, one after the other, everyone else healthy."""

    begins: datetime
    faults: list[FaultInstance] = field(default_factory=list[FaultInstance])
    messages: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    @property
    def ends(self) -> datetime:
        return self.begins + LASTS * (len(FAULTS) + 1)

    @property
    def info(self) -> RunInfo:
        # The service keeps real time while hours are played in seconds.
        return RunInfo("small", Purpose.JUDGING, 0, self.begins, self.ends, 3600.0, messages=len(self.messages))


def compose(begins: datetime, prefix: str = "F") -> SmallRun:
    """Write the truth and every message of a run that begins then."""
    run = SmallRun(begins.astimezone(UTC).replace(microsecond=0))
    acting: dict[str, tuple[datetime, datetime, dict[str, MeasureValue]]] = {}
    for number, (kind, key, rules) in enumerate(FAULTS):
        device = _name(kind, number % 2)
        start, end = run.begins + number * LASTS + STEP / 2, run.begins + (number + 1) * LASTS
        [played] = [fault for fault in KINDS[kind].faults if fault.key == key]
        acting[device] = start, end, dict(played.values)
        run.faults.append(
            FaultInstance(
                id=f"{prefix}{number}",
                fault=f"{kind}.{key}",
                kind=kind,
                device=device,
                asset=f"A-{device}",
                devices=(device,),
                begins=start,
                ends=end,
                expect=tuple(
                    Expectation(device, rule, start + 5 * STEP, RULES[rule].case_class, ticket=True) for rule in rules
                ),
            )
        )
    at = run.begins
    while at < run.ends:
        for name, about in FACTS.devices.items():
            values = {measure.name: measure.rest for measure in KINDS[about.kind].measures}
            start, end, wrong = acting.get(name, (at, at, {}))
            if start <= at < end:
                values |= wrong
            body = {"ts": at.isoformat(), "values": values}
            run.messages.append((f"city/v1/{DISTRICT}/{about.kind}/{name}/telemetry", orjson.dumps(body)))
        at += STEP
    return run


async def register_city(pool: asyncpg.Pool) -> None:
    """Register the devices of the run, each on an asset of its own."""
    for kind in KINDS:
        await registered(pool, *(_name(kind, number) for number in range(DEVICES_OF_A_KIND)), kind=kind)


async def play(pool: asyncpg.Pool, mqtt_url: str, messages: Sequence[tuple[str, bytes]]) -> None:
    """Publish the messages and wait until every one is stored."""
    before = int(await pool.fetchval("SELECT count(*) FROM reading"))
    await asyncio.to_thread(publish_all, mqtt_url, messages)
    async with asyncio.timeout(60):
        while int(await pool.fetchval("SELECT count(*) FROM reading")) < before + len(messages):  # noqa: ASYNC110  # the database tells nobody
            await asyncio.sleep(0.05)


def publish_all(mqtt_url: str, messages: Sequence[tuple[str, bytes]]) -> None:
    """Publish messages in order and wait for every acknowledgement."""

    def settled(number: int, word: Word) -> None:
        assert word is not Word.REFUSED, messages[number]

    publisher = Publisher(read_address(mqtt_url), client_id="small-run", protocol=Protocol.AUTO, settled=settled)
    publisher.connect()
    give_up_at = time.monotonic() + 60
    for topic, payload in messages:
        while not publisher.ready and time.monotonic() < give_up_at:
            publisher.turn(0.05)
        publisher.publish(topic, payload)
    while publisher.backlog and time.monotonic() < give_up_at:
        publisher.turn(0.05)
    assert publisher.backlog == 0
    publisher.close()
