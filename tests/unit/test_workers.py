"""What several workers agree on: their names, what each subscribes to, how far they have heard, who is ready."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.coverage import Coverage, heard_by_all
from ingest.catalogue import load_formats
from ingest.membership import alone, in_group, leaving_group
from service.drains import is_leftover
from service.failures import WrongSettingError
from service.readiness import status_file, why_not_ready
from service.settings import Settings, load_settings

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FORMATS = load_formats()
PLAIN = {name for form in FORMATS.values() for name in form.filters}


def stretch(since: float, until: float) -> Coverage:
    return Coverage(NOON + timedelta(seconds=since), NOON + timedelta(seconds=until))


def test_a_source_is_heard_from_the_latest_start_to_the_earliest_end_of_all_workers() -> None:
    own = {"native": stretch(0, 100), "senml": stretch(0, 100)}
    assert heard_by_all(own, {}) == own
    others = {"w-2": {"native": stretch(-50, 90), "senml": stretch(0, 99)}, "w-3": {"native": stretch(10, 200)}}
    assert heard_by_all(own, others) == {"native": stretch(10, 90)}, "w-3 has never heard senml"
    dead = {"w-2": {"native": stretch(-50, -20), "senml": stretch(0, 99)}}
    heard = heard_by_all(own, dead)["native"]
    assert heard.until < heard.since, "no silence lies in it"


def test_one_worker_keeps_the_name_and_so_the_session_it_always_had() -> None:
    assert Settings().worker_ids == ("streetwarden-ingest-1",)
    assert Settings(workers=2).worker_ids == ("streetwarden-ingest-1-1", "streetwarden-ingest-1-2")


def test_names_longer_than_mqtt_guarantees_are_refused() -> None:
    assert len(load_settings({}, workers=9).worker_ids) == 9
    with pytest.raises(WrongSettingError, match="23 characters"):
        load_settings({}, workers=10)


def test_members_share_the_messages_and_keep_their_heartbeats_apart() -> None:
    first, second = in_group("w-1", FORMATS), in_group("w-2", FORMATS)
    shared = {name for name in first.filters if name.startswith("$share/")}
    assert {name.split("/", 2)[2] for name in shared} == PLAIN
    assert shared == {name for name in second.filters if name.startswith("$share/")}
    assert not first.heartbeats.keys() & second.heartbeats.keys()
    assert set(first.heartbeats.values()) == set(FORMATS)
    for topic in first.heartbeats:
        # A format that read them would draw them into the shared subscription.
        assert all(form.read_topic(topic) is None for form in FORMATS.values())
        assert f"{topic.rpartition('/')[0]}/+" in first.filters


def test_whoever_goes_from_alone_to_a_group_and_back_gives_up_what_it_had() -> None:
    single, member = alone("w", FORMATS), in_group("w", FORMATS)
    assert set(member.unwanted) >= set(single.filters)
    assert set(single.unwanted) >= set(member.filters)
    for one in (single, member, leaving_group("w", FORMATS)):
        assert not set(one.filters) & set(one.unwanted)
        assert "old/+" in one.giving_up(("old/+", *one.filters)).unwanted
    assert set(leaving_group("w", FORMATS).unwanted) >= {*single.filters, *member.filters} - {
        "streetwarden/heartbeat/w/+"
    }


def test_only_ones_own_sessions_beyond_the_number_are_left_over() -> None:
    three = Settings(client_id="north", workers=3)
    assert [name for name in ("north", "north-1", "north-3", "north-4") if is_leftover(name, three)] == [
        "north",
        "north-4",
    ]
    one = Settings(client_id="north")
    assert [name for name in ("north", "north-1", "northern-1", "north-x", "south-1") if is_leftover(name, one)] == [
        "north-1"
    ]


def test_a_worker_is_ready_when_database_broker_and_heartbeats_are(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, client_id="w", workers=2)
    good = {"connected": True, "database": True, "heard_s": 1.5}

    def write(name: str, **changes: object) -> Path:
        file = status_file(settings.ingest_folder, name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({**good, **changes}))
        return file

    first = write("w-1")
    assert "w-2 is not ready: it does not run" in (why_not_ready(settings) or "")
    write("w-2")
    assert why_not_ready(settings) is None
    for wrong, sentence in (
        ({"database": False}, "the database does not answer"),
        ({"connected": False}, "the broker does not answer"),
        ({"heard_s": None}, "heartbeats do not come back"),
        ({"heard_s": 300}, "heartbeats do not come back"),
    ):
        write("w-2", **wrong)
        assert sentence in (why_not_ready(settings) or "")
    write("w-2")
    os.utime(first, (time.time() - 100, time.time() - 100))
    assert "w-1 is not ready: it last said 100 s ago" in (why_not_ready(settings) or "")
