"""For each device the same bytes for the same seed and start; and what befalls messages on their way."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from devices.catalogue import load_kinds
from ingest.catalogue import load_formats
from ingest.json_text import as_list
from simulators.city import City, build_city
from simulators.faultbook.catalogue import load_faultbook
from simulators.production import produce
from simulators.scenario import load_scenario
from simulators.sensor import Sensor, man_city
from simulators.traffic import Message, Traffic
from simulators.trouble import Trouble
from simulators.weather import FAIR

KINDS = load_kinds()
BOOK = load_faultbook(KINDS.values())
FORMATS = load_formats()
NATIVE = FORMATS["native"]
START_MS = 1_780_848_000_000
HOUR_MS = 3_600_000
CITY = build_city(150, list(KINDS.values()), seed=7)


def by_device(messages: Iterable[Message]) -> dict[int, list[tuple[str, bytes]]]:
    told: defaultdict[int, list[tuple[str, bytes]]] = defaultdict(list)
    for message in messages:
        told[message.device].append((message.topic, message.payload))
    return told


def week(hours: int, *, seed: int = 171, city: City = CITY) -> dict[int, list[tuple[str, bytes]]]:
    scenario = load_scenario("mixed-week", BOOK)
    end_ms = START_MS + hours * HOUR_MS
    made = produce(city, scenario, BOOK, KINDS, NATIVE, seed=seed, start_ms=START_MS, end_ms=end_ms)
    return by_device(made.traffic.messages(end_ms))


def test_the_same_seed_and_start_give_the_same_bytes_and_another_seed_others() -> None:
    first = week(12)
    assert week(12) == first
    assert week(12, seed=172) != first


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = week(6), week(12)
    for device, messages in short.items():
        assert long[device][: len(messages)] == messages


def test_messages_come_in_the_order_of_their_time_and_count_up() -> None:
    sensors = man_city(CITY, KINDS, NATIVE, run_seed=1)
    last_ms = START_MS
    seqs: defaultdict[int, int] = defaultdict(int)
    for message in Traffic(sensors, NATIVE, FAIR, start_ms=START_MS).messages(START_MS + 30 * HOUR_MS):
        assert message.due_ms >= last_ms
        last_ms = message.due_ms
        for entry in entries(message):
            seqs[message.device] += 1
            assert entry["seq"] == seqs[message.device]
        assert message.seq == seqs[message.device]
    assert set(seqs) == set(range(150)), "everybody reports at least once a day"


def entries(message: Message) -> list[Any]:
    body: Any = orjson.loads(message.payload)
    return as_list(body) or [body]


@pytest.mark.parametrize("source", FORMATS)
def test_every_format_can_be_spoken(source: str) -> None:
    sensors = man_city(CITY, KINDS, FORMATS[source], run_seed=1)
    messages = list(Traffic(sensors, FORMATS[source], FAIR, start_ms=START_MS).messages(START_MS + HOUR_MS))
    assert messages
    assert len({message.payload for message in messages}) == len(messages)
    assert all(FORMATS[source].read_topic(message.topic) is not None for message in messages)


# ------------------------------------------------------------------------------------------------- on the way


def lamp() -> Sensor:
    sensor = next(each for each in man_city(CITY, KINDS, NATIVE, run_seed=1) if each.kind.key == "streetlight")
    return replace(sensor, phase_ms=0, interval_ms=900_000, spread_ms=0)


def sent(sensor: Sensor, fault: str | None, hours: int = 4) -> tuple[Sequence[Message], Traffic]:
    if fault is not None:
        sensor.suffer([Trouble(BOOK[fault].entry.effect, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)])
    traffic = Traffic([sensor], NATIVE, FAIR, start_ms=START_MS)
    return list(traffic.messages(START_MS + hours * HOUR_MS)), traffic


HEALTHY, _ = sent(lamp(), None)
"""Sixteen messages, of which four fall into the hour of trouble."""


def test_without_trouble_every_message_comes_once_and_in_time() -> None:
    assert [message.due_ms for message in HEALTHY] == [START_MS + number * 900_000 for number in range(16)]


def test_what_is_lost_was_counted() -> None:
    messages, traffic = sent(lamp(), "network.gateway_out")
    assert messages == [*HEALTHY[:4], *HEALTHY[8:]]
    assert traffic.lost == 4


def test_who_is_silent_does_not_count() -> None:
    messages, traffic = sent(lamp(), "streetlight.offline")
    assert [message.due_ms for message in messages] == [message.due_ms for message in (*HEALTHY[:4], *HEALTHY[8:])]
    assert [message.seq for message in messages] == list(range(1, 13))
    assert traffic.silent == 4


def test_what_is_held_back_comes_at_the_end_in_its_order() -> None:
    messages, _ = sent(lamp(), "network.broker_out")
    assert [message.payload for message in messages] == [message.payload for message in HEALTHY]
    assert {message.due_ms for message in messages[4:8]} == {START_MS + 2 * HOUR_MS}


def test_what_is_held_back_when_the_run_ends_comes_then() -> None:
    sensor = lamp()
    sensor.suffer([Trouble(BOOK["network.broker_out"].entry.effect, START_MS + HOUR_MS, START_MS + 9 * HOUR_MS)])
    messages = list(Traffic([sensor], NATIVE, FAIR, start_ms=START_MS).messages(START_MS + 4 * HOUR_MS))
    assert [message.payload for message in messages] == [message.payload for message in HEALTHY]
    assert messages[-1].due_ms == START_MS + 4 * HOUR_MS


def test_duplicates_come_one_after_the_other() -> None:
    messages, _ = sent(lamp(), "network.duplicates")
    assert messages == [*HEALTHY[:4], *(each for message in HEALTHY[4:8] for each in (message, message)), *HEALTHY[8:]]


def test_reordered_messages_change_places_two_and_two() -> None:
    messages, _ = sent(lamp(), "network.reordered")
    order = [HEALTHY.index(next(each for each in HEALTHY if each.seq == message.seq)) for message in messages]
    assert order == [0, 1, 2, 3, 5, 4, 7, 6, *range(8, 16)]


def test_a_wrong_clock_shows_in_the_time_alone() -> None:
    messages, _ = sent(lamp(), "streetlight.clock_wrong")
    for wrong, right in zip(messages[4:8], HEALTHY[4:8], strict=True):
        [told], [true] = entries(wrong), entries(right)
        assert told["ts"] - true["ts"] == 8 * HOUR_MS
        assert told["values"] == true["values"]


def test_a_babbler_says_the_right_thing_too_often() -> None:
    messages, _ = sent(lamp(), "streetlight.babbling")
    inside = [message for message in messages if START_MS + HOUR_MS <= message.due_ms < START_MS + 2 * HOUR_MS]
    assert len(inside) >= 180
    assert len(messages) - len(inside) == 12


def test_without_a_counter_no_message_bears_one() -> None:
    traffic = Traffic([lamp()], NATIVE, FAIR, start_ms=START_MS, counted=False)
    assert all("seq" not in entry for message in traffic.messages(START_MS + HOUR_MS) for entry in entries(message))
