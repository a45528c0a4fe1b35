"""The decode command: what it prints for a payload, and how it ends."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import typer
from typer.testing import CliRunner, Result

from service.commands import decode

MANHOLE = "city/v1/510104/manhole/mh-0001/telemetry"


def run(payload: bytes, *options: str) -> Result:
    app = typer.Typer()
    decode.register(app)
    return CliRunner().invoke(app, [*options, "-"], input=payload)


def just_now() -> str:
    return (datetime.now(UTC) - timedelta(seconds=5)).isoformat()


def test_a_reading_is_printed_with_units_flags_and_unknown_values() -> None:
    values = {"tilt_deg": 222, "battery_v": 3.6, "colour": "red", "lid_open": "yes"}
    result = run(orjson.dumps({"ts": just_now(), "values": values}), "--topic", MANHOLE)
    assert result.exit_code == 0
    printed = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "tilt_deg 222.0 ° [out_of_range]" in printed
    assert "battery_v 3.6 V" in printed
    assert 'colour "red" [unknown]' in printed
    assert 'lid_open "yes" [wrong_type]' in printed


def test_a_missing_time_is_told() -> None:
    assert "[no_time]" in run(b'{"values":{"tilt_deg":1}}', "--topic", MANHOLE).stdout


def test_json_has_the_same_for_programs() -> None:
    result = run(b'{"values":{"tilt_deg":1,"colour":"red"}}', "--topic", MANHOLE, "--json")
    (reading,) = orjson.loads(result.stdout)["readings"]
    assert (reading["device"], reading["values"], reading["unknown"]) == ("mh-0001", {"tilt_deg": 1}, {"colour": "red"})


@pytest.mark.parametrize(
    ("payload", "topic", "reason"),
    [
        (b"{", MANHOLE, "not_json"),
        (b'{"values":{"colour":"red"}}', MANHOLE, "no_known_measure"),
        (b'{"ts":1000000000,"values":{"tilt_deg":1}}', MANHOLE, "too_old"),
        (b'{"ts":9999999999,"values":{"tilt_deg":1}}', MANHOLE, "in_future"),
        (b" " * 65_537, MANHOLE, "too_large"),
        (b"{}", "elsewhere/1", "unknown_topic"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else None,
)
def test_a_refusal_ends_with_65_and_the_reason(payload: bytes, topic: str, reason: str) -> None:
    plain = run(payload, "--topic", topic)
    assert plain.exit_code == 65
    assert plain.stderr.startswith(f"{reason}: ")
    assert not plain.stdout
    as_json = run(payload, "--topic", topic, "--json")
    assert as_json.exit_code == 65
    assert orjson.loads(as_json.stdout)["reason"] == reason


def test_of_a_history_what_cannot_be_believed_is_left_out_and_told() -> None:
    history = b'[{"values":{"tilt_deg":1}},{"ts":1000000000,"values":{"tilt_deg":2}}]'
    result = run(history, "--topic", MANHOLE)
    assert result.exit_code == 0
    assert "left out, too_old: " in result.stdout
    good, bad = orjson.loads(run(history, "--topic", MANHOLE, "--json").stdout)["readings"]
    assert (good["values"], bad["reason"]) == ({"tilt_deg": 1}, "too_old")


def test_without_a_kind_values_are_shown_as_sent_and_with_one_they_are_judged() -> None:
    pack = b'[{"bn":"bin-7:","n":"fill_pct","u":"/","v":0.5}]'
    assert "--kind" in run(pack, "--topic", "senml/x").stdout
    judged = run(pack, "--topic", "senml/x", "--kind", "bin").stdout
    assert "fill_pct 50.0 %" in " ".join(judged.split())


@pytest.mark.parametrize(
    ("leaf", "payload", "told"),
    [
        ("status", b"offline", "device mh-0001 is offline"),
        ("event", b'{"class":"door_opened"}', "device mh-0001 tells door_opened"),
        ("reply", b"{}", "ignored"),
    ],
)
def test_other_messages_are_told_too(leaf: str, payload: bytes, told: str) -> None:
    topic = MANHOLE.replace("telemetry", leaf)
    assert told in run(payload, "--topic", topic).stdout
    assert run(payload, "--topic", topic, "--json").exit_code == 0


def test_an_unknown_kind_or_file_is_one_sentence(tmp_path: Path) -> None:
    result = run(b'[{"n":"a:x","v":1}]', "--topic", "senml/x", "--kind", "dragon")
    assert "there is no device kind dragon" in str(result.exception)
    app = typer.Typer()
    decode.register(app)
    missing = CliRunner().invoke(app, ["--topic", MANHOLE, str(tmp_path / "missing.json")])
    assert "cannot read" in str(missing.exception)
