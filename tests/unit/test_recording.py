"""Recordings: what was written is read, damage is named, times move in the form they had, heartbeats are known."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInputError
from ingest.catalogue import load_formats
from ingest.timestamps import read_time
from simulators.recording import Recorded, Recorder, devices_of, heartbeat_topics, read_recording
from simulators.registry import read_registry, write_registry
from simulators.replaying import shift_times

NOON = datetime(2026, 7, 1, 12, 0, 0, 123_000, tzinfo=UTC)
TOPIC = "city/v1/511703/manhole/mh-1/telemetry"


def recorded(path: Path, *messages: Recorded) -> Path:
    recorder = Recorder(path, ["#"])
    for message in messages:
        recorder.add(message)
    recorder.close()
    return path


@given(
    st.lists(
        st.builds(
            Recorded,
            st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # with `timezones`
            st.text(min_size=1),
            st.binary(max_size=200),
            st.integers(0, 2),
            st.booleans(),
        ),
        max_size=5,
    )
)
def test_any_bytes_survive_the_file(tmp_path_factory: pytest.TempPathFactory, messages: list[Recorded]) -> None:
    path = recorded(tmp_path_factory.mktemp("recording") / "r.jsonl.gz", *messages)
    assert list(read_recording(path)) == messages


def test_what_was_written_before_a_crash_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    messages = [Recorded(NOON, TOPIC, bytes([number % 256]) * 2000) for number in range(300)]
    recorded(path, *messages)
    path.write_bytes(path.read_bytes()[:-10])
    survivors = list(read_recording(path))
    assert 0 < len(survivors) <= 300
    assert survivors == messages[: len(survivors)]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "is empty: no recording"),
        ([b"{}"], "is no recording of streetwarden-sim record"),
        ([b"nonsense"], "is no recording of streetwarden-sim record"),
        ([b'{"format": "streetwarden-recording", "version": 9}'], "is a recording of version 9; version 1 is read"),
        (
            [b'{"format": "streetwarden-recording", "version": 1}', b'{"at": "now"}'],
            r"line 2 is no recorded message",
        ),
        (
            [
                b'{"format": "streetwarden-recording", "version": 1}',
                b'{"at": "2026-07-01T12:00:00Z", "topic": "a", "payload": "%%", "qos": 1, "retain": false}',
            ],
            r"line 2 is no recorded message",
        ),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, lines: list[bytes], complaint: str) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    with pytest.raises(InvalidInputError, match=complaint):
        list(read_recording(path))


def test_a_file_that_is_not_packed_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("{}")
    with pytest.raises(InvalidInputError, match="cannot be read after line 0"):
        list(read_recording(tmp_path / "plain"))
    with pytest.raises(InvalidInputError, match="No such file"):
        list(read_recording(tmp_path / "nowhere"))
    with pytest.raises(InvalidInputError, match="cannot be written"):
        Recorder(tmp_path / "nowhere" / "r.jsonl.gz", ["#"])


@pytest.mark.parametrize(
    "ts",
    ["2026-07-01T12:00:00.123000+00:00", "2026-07-01T20:00:00.123+08:00", 1_782_907_200_123, 1_782_907_200_123.0],
)
def test_times_are_moved_in_the_form_they_had(ts: object) -> None:
    by = timedelta(days=3, hours=1)
    told = {"ts": ts, "seq": 4, "values": {"tilt_deg": 1.5}}
    moved = orjson.loads(shift_times(Recorded(NOON, TOPIC, orjson.dumps(told)), by).payload)
    assert type(moved["ts"]) is type(ts)
    assert read_time(moved["ts"]) == read_time(ts) + by
    assert moved | {"ts": ts} == told


def test_every_time_of_a_history_is_moved() -> None:
    history: list[dict[str, object]] = [
        {"ts": 1_782_907_200, "values": {"a": 1}},
        {"values": {"a": 2}},
        {"ts": 1_782_907_260, "values": {}},
    ]
    moved = orjson.loads(shift_times(Recorded(NOON, TOPIC, orjson.dumps(history)), timedelta(minutes=1)).payload)
    assert [entry.get("ts") for entry in moved] == [1_782_907_260, None, 1_782_907_320]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (TOPIC, b"\xff\x00 no json"),
        (TOPIC, b'{"values":  {"tilt_deg": 1}}'),
        (TOPIC, b'{"ts":  "yesterday"}'),
        (TOPIC, b'[1,  "x"]'),
        (TOPIC, b"[]"),
        ("city/v1/511703/manhole/mh-1/status", b"online"),
        ("somewhere/else", b'{"ts":  1782907200}'),
    ],
)
def test_what_has_no_time_of_ours_stays_byte_for_byte(topic: str, payload: bytes) -> None:
    message = Recorded(NOON, topic, payload)
    assert shift_times(message, timedelta(days=1)) is message


def test_the_services_own_heartbeats_are_known_whatever_its_name() -> None:
    ours = heartbeat_topics()
    for offer in load_formats().values():
        assert ours.fullmatch(offer.heartbeat_topic("streetwarden-ingest-7"))
    assert not ours.fullmatch(TOPIC)
    assert not ours.fullmatch("senml/something")


def test_a_registry_of_what_was_recorded_marks_every_device_as_simulated(tmp_path: Path) -> None:
    messages = [
        Recorded(NOON, TOPIC, b"{}"),
        Recorded(NOON, "city/v1/511703/bin/b-1/telemetry", b"{}"),
        Recorded(NOON, TOPIC, b"{}"),
        Recorded(NOON, "city/v1/511703/bin/b-2/status", b"online"),
        Recorded(NOON, "application/x/device/y/event/up", b"{}"),
    ]
    found = devices_of(messages)
    assert [(device.name, device.kind, device.asset) for device in found] == [
        ("b-1", "bin", "A-b-1"),
        ("mh-1", "manhole", "A-mh-1"),
    ]
    write_registry(tmp_path / "devices.csv", found)
    assert [device.name for device in read_registry(tmp_path / "devices.csv")] == ["b-1", "mh-1"]
    assert (tmp_path / "devices.csv").read_text().count("true") == 2
