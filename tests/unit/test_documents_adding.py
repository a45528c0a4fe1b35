"""docs/adding.md keeps its word: each of its files, put where it says, is found by its catalogue and behaves."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devices.kinds
import ingest.formats
import rules.kinds
from devices.catalogue import load_kinds
from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.device import Device
from domain.ledger import Reason
from domain.reading import Reading
from ingest.catalogue import load_formats
from ingest.format import IGNORED, Address, DecodeError, Format, Sender
from ingest.normalise import TimeBounds, limits_of, normalise
from rules.catalogue import load_rule_kinds
from rules.engine import Hearing, judge, tick
from rules.plan import make_plan
from rules.rule import Rule, RuleOverrideError
from rules.tracks import Tracks
from tests.support.documents import ROOT, example

PAGE = "docs/adding.md"
NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)


@contextmanager
def added(package: ModuleType, file_name: str, folder: Path) -> Generator[None]:
    """Let an example of adding.md lie in its folder, as its catalogue sees it."""
    stem = Path(file_name).stem
    (folder / f"{stem}.py").write_text(example(PAGE, file_name), encoding="utf-8")
    package.__path__.append(str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        package.__path__.remove(str(folder))
        sys.modules.pop(f"{package.__name__}.{stem}", None)
        if hasattr(package, stem):
            delattr(package, stem)


class TestAddingADeviceKind:
    @pytest.fixture(autouse=True)
    def _there(self, tmp_path: Path) -> Iterator[None]:
        with added(devices.kinds, "src/devices/kinds/water_level.py", tmp_path):
            yield

    def test_the_example_passes_every_check_that_the_house_has_for_kinds(self) -> None:
        kind = load_kinds()["water_level"]
        parts: Mapping[str, Sequence[object]] = {
            "measure": kind.measures,
            "rule": kind.rules,
            "fault": kind.faults,
        }
        checks = conformance()
        assert len(checks) > 10
        for check in checks:
            names = list(inspect.signature(check).parameters)
            if names == ["kind"]:
                check(kind)
            elif names:
                for part in parts[names[1]]:
                    check(kind, part)

    def test_its_values_are_checked_and_its_default_rule_judges(self) -> None:
        kind = load_kinds()["water_level"]
        plan = make_plan(kind.rules, interval_s=kind.interval_s, validity_factor=1.5, overrides={})
        tracks = Tracks()
        assert judge(plan, tracks, reading(level_m=0.42), Hearing(None, None)) == []
        steps = tick(plan, tracks, 1, NOW + timedelta(seconds=61), Hearing(NOW, Coverage(NOW, NOW)))
        assert [step.severity for step in steps] == [Severity.MINOR, Severity.MAJOR]
        assert {step.rule for step in steps} == {"water_level.flooded"}


def conformance() -> list[Callable[..., None]]:
    """The checks of tests/unit/test_device_kinds.py, loaded anew so that they see the example."""
    spec = importlib.util.spec_from_file_location("conformance", ROOT / "tests" / "unit" / "test_device_kinds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [check for name, check in vars(module).items() if name.startswith("test_")]


def reading(at: datetime = NOW, **values: float) -> Reading:
    return Reading(1, at, at, dict(values), {}, 0, b"", None, None)


class TestAddingAFormat:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _there(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("formats")
        with added(ingest.formats, "src/ingest/formats/keyvalue.py", folder):
            yield

    @staticmethod
    def source() -> Format:
        return load_formats()["keyvalue"]

    def address(self) -> Address:
        address = self.source().read_topic("kv/MH-0001")
        assert address is not None
        return address

    def test_its_example_message_becomes_a_reading(self) -> None:
        payload = example(PAGE, "kv/MH-0001").encode()
        [sample] = self.source().decode(self.address(), payload, NOW).samples
        bounds = TimeBounds(timedelta(seconds=300), timedelta(days=400))
        device = Device(1, "MH-0001", "manhole", "440305")
        made = normalise(device, limits_of(load_kinds()["manhole"]), sample, NOW, bounds)
        assert made.values == {"tilt_deg": 1.2, "lid_open": False}
        assert made.at == datetime.fromtimestamp(1795363200, UTC)
        assert not made.extra

    def test_no_other_source_reads_its_topics_and_it_reads_no_other(self) -> None:
        readers = [name for name, form in load_formats().items() if form.read_topic("kv/MH-0001")]
        assert readers == ["keyvalue"]
        for name, form in load_formats().items():
            assert (self.source().read_topic(form.heartbeat_topic("worker")) is None) == (name != "keyvalue")

    def test_its_heartbeat_passes_by(self) -> None:
        address = self.source().read_topic(self.source().heartbeat_topic("worker"))
        assert address is not None
        assert self.source().decode(address, b"1795363200000000", NOW) is IGNORED

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"", Reason.WRONG_SHAPE),
            (b"tilt", Reason.WRONG_SHAPE),
            (b"ts=1795363200000", Reason.WRONG_SHAPE),
            (b"\xff", Reason.NOT_UTF8),
            (b"tilt_deg=1 ts=12", Reason.BAD_TIME),
        ],
    )
    def test_what_it_cannot_read_has_a_reason(self, payload: bytes, reason: Reason) -> None:
        with pytest.raises(DecodeError) as caught:
            self.source().decode(self.address(), payload, NOW)
        assert caught.value.reason is reason

    @given(payload=st.binary() | st.text().map(str.encode) | st.from_regex(rb"([a-z_]+=[0-9a-z.+-]+ ?)+"))
    def test_no_other_error_ever_leaves_it(self, payload: bytes) -> None:
        try:
            decoded = self.source().decode(self.address(), payload, NOW)
        except DecodeError:
            return
        for sample in decoded.samples:
            assert all(value == value for value in sample.values.values()), "not a number"  # noqa: PLR0124  # NaN

    @given(level=st.floats(0, 180), is_open=st.booleans())
    def test_it_reads_what_it_writes(self, *, level: float, is_open: bool) -> None:
        sent = reading(tilt_deg=level, lid_open=is_open)
        topic, payload = self.source().encode(Sender("MH-0001", "manhole", "440305", "MH-0001"), [sent])
        address = self.source().read_topic(topic)
        assert address is not None
        [sample] = self.source().decode(address, payload, NOW).samples
        assert (sample.values, sample.at) == (sent.values, sent.at)


class TestAddingARuleKind:
    @pytest.fixture(autouse=True)
    def _there(self, tmp_path: Path) -> Iterator[None]:
        with added(rules.kinds, "src/rules/kinds/deviation.py", tmp_path):
            yield

    def test_the_example_fires_after_its_hold_on_either_side_and_clears(self) -> None:
        offered: Any = load_rule_kinds()["deviation"]
        condition = offered("volt_v", nominal=220.0, share_pct=7.0, hold_s=60.0)
        rule = Rule("streetlight.voltage", "Supply voltage off its nominal value", "供电电压偏差", condition)
        plan = make_plan([rule], interval_s=900, validity_factor=1.5, overrides={rule.key: {"share_pct": 10}})
        tracks = Tracks()
        steps: list[Transition] = []
        for minute, volts in enumerate([220.0, 199.0, 189.0, 250.0, 230.0]):
            at = NOW + timedelta(minutes=minute)
            steps += judge(plan, tracks, reading(at, volt_v=volts), Hearing(None, None))
        assert [(step.step, step.at) for step in steps] == [
            (Step.OPENED, NOW + timedelta(minutes=3)),
            (Step.CLEARED, NOW + timedelta(minutes=4)),
        ]
        assert judge(plan, tracks, reading(tilt_deg=1.0), Hearing(None, None)) == []
        assert orjson.loads(orjson.dumps(condition.as_data())) == condition.as_data()

    @pytest.mark.parametrize("wrong", [{"limit": 3}, {"nominal": "3"}, {"nominal": True}, {"share_pct": -1}])
    def test_it_refuses_an_override_that_does_not_fit(self, wrong: dict[str, object]) -> None:
        offered: Any = load_rule_kinds()["deviation"]
        with pytest.raises(RuleOverrideError):
            offered("volt_v", nominal=220.0, share_pct=7.0).overridden(wrong)
