"""Truth: what a player writes a scorer reads, and a file that says something else is refused with its line."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInputError
from simulators.truth import (
    Allowed,
    Expectation,
    FaultInstance,
    Forbidden,
    Purpose,
    RunInfo,
    read_run,
    read_truth,
    write_run,
    write_truth,
)

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
OPENED = FaultInstance(
    id="F000001",
    fault="manhole.opened",
    kind="manhole",
    device="manhole-000001",
    asset="JG-000001",
    devices=("manhole-000001",),
    begins=NOON,
    ends=NOON + timedelta(hours=1),
    expect=(Expectation("manhole-000001", "manhole.open", NOON + timedelta(minutes=2), "0101-1", ticket=True),),
    forbid=(Forbidden("manhole-000001", "manhole.methane", "an open cover lets the gas out"),),
    allow=(Allowed("manhole-000001", "manhole.tilt"),),
    note="Somebody took the cover off.",
)
RUN = RunInfo("rainstorm", Purpose.JUDGING, 7, NOON, NOON + timedelta(days=1), 600.0, messages=12, more={"devices": 3})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    other = FaultInstance("F000002", "network.duplicated", "network", None, None, NOON, None, needs="group")
    assert write_truth(tmp_path, [OPENED, other]) == 2
    assert read_truth(tmp_path) == [OPENED, other]
    write_run(tmp_path, RUN)
    assert read_run(tmp_path) == RUN


def test_times_are_read_in_utc_and_written_as_rfc3339(tmp_path: Path) -> None:
    beijing = timezone(timedelta(hours=8))
    write_truth(tmp_path, [FaultInstance("F1", "bin.full", "bin", "b", None, NOON.astimezone(beijing), None)])
    [read] = read_truth(tmp_path)
    assert (read.begins, read.begins.tzinfo) == (NOON, UTC)
    write_truth(tmp_path, [OPENED])
    line = orjson.loads((tmp_path / "truth.jsonl").read_bytes())
    assert line["begins"] == "2026-07-01T12:00:00Z"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"forbidden": []}, "line 2: forbidden: Unexpected keyword argument"),
        ({"begins": "2026-07-01T12:00:00"}, "line 2: begins: Input should have timezone info"),
        ({"begins": None}, "line 2: begins: Input should be a valid datetime"),
        ({"ends": "2026-07-01T11:00:00Z"}, "line 2: ends lies before begins"),
        ({"id": "F000001"}, "line 2: the id F000001 was there before"),
        ({"expect": [{"device": "b", "rule": "bin.full"}]}, r"line 2: expect\.0\.by: Field required"),
        (
            {"expect": [{"device": "x", "rule": "bin.full", "by": "2026-07-01T13:00:00Z"}]},
            r"line 2: expect\.0\.device x is none of the fault's devices",
        ),
        (
            {"expect": [{"device": "b", "rule": "bin.full", "by": "2026-07-01T11:00:00Z"}]},
            r"line 2: expect\.0\.by lies before begins",
        ),
        (
            {"expect": [{"device": "b", "rule": "bin.full", "by": "2026-07-01T13:00:00Z", "ticket": "yes"}]},
            r"line 2: expect\.0\.ticket: Input should be a valid boolean",
        ),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    write_truth(tmp_path, [OPENED])
    plain = {"id": "F2", "fault": "bin.full", "kind": "bin", "device": "b", "asset": None, "ends": None}
    line = orjson.dumps(plain | {"begins": "2026-07-01T12:00:00Z"} | change)
    with (tmp_path / "truth.jsonl").open("ab") as file:
        file.write(line)
    with pytest.raises(InvalidInputError, match=complaint):
        read_truth(tmp_path)


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text("{nonsense\n")
    with pytest.raises(InvalidInputError, match=r"truth\.jsonl, line 1: Invalid JSON"):
        read_truth(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", r"run\.json must hold one JSON object"),
        ("{", r"run\.json is no JSON"),
        ("{}", r"run\.json: scenario: "),
    ],
)
def test_a_run_that_makes_no_sense_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InvalidInputError, match=complaint):
        read_run(tmp_path)


def test_a_purpose_is_tuning_or_judging(tmp_path: Path) -> None:
    write_run(tmp_path, RUN)
    text = (tmp_path / "run.json").read_text().replace('"judging"', '"showing off"')
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InvalidInputError, match="purpose: Input should be 'tuning' or 'judging'"):
        read_run(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"truth\.jsonl cannot be read: No such file"):
        read_truth(tmp_path)
    with pytest.raises(InvalidInputError, match=r"run\.json cannot be read: No such file"):
        read_run(tmp_path)
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_truth(tmp_path / "nowhere", [])
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_run(tmp_path / "nowhere", RUN)


def test_a_player_that_contradicts_itself_is_stopped_when_it_writes(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="fault F000001: the id F000001 was there before"):
        write_truth(tmp_path, [OPENED, OPENED])


@given(
    st.lists(
        st.builds(
            FaultInstance,
            id=st.uuids().map(str),
            fault=st.text(),
            kind=st.text(),
            device=st.none() | st.text(),
            asset=st.none() | st.text(),
            begins=st.datetimes(max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # with `timezones`
            ends=st.none(),
            devices=st.lists(st.text()).map(tuple),
            group=st.none() | st.text(),
            needs=st.none() | st.text(),
            note=st.text(),
        ),
        max_size=3,
        unique_by=lambda fault: fault.id,
    )
)
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, faults: list[FaultInstance]) -> None:
    folder = tmp_path_factory.mktemp("run")
    write_truth(folder, faults)
    assert read_truth(folder) == faults
