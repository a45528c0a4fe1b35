"""What the documents say is true: examples run, links lead somewhere, commands, settings and addresses exist."""

import importlib
import importlib.util
import inspect
import re
import shlex
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import orjson
import pytest
import typer.main
import yaml
from hypothesis import given
from hypothesis import strategies as st

import devices.kinds
import ingest.formats
import rules.kinds
from api.app import create_app, vocabulary
from api.models.registry import NewDevice
from api.registration import object_to_device
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
from service.cli import build_app
from service.clock import SystemClock
from service.failures import EXIT_CODES
from service.settings import PREFIX, Settings
from simulators.cli import app as simulator_app
from store.registry import DeviceEntry

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)

FENCE = re.compile(r"^```(\w*) ?(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
HOUSE_PATH = re.compile(r"(?:src|simulators|migrations|tests|docs|deploy)/[\w./-]*")
ADDRESS = re.compile(r"(?<![\w/])/v1/[\w/{}.-]*\w[\w}]*")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fences(page: str) -> list[tuple[str, str, str]]:
    """(language, what the fence is called, body) of every fenced block."""
    return [(m[1], m[2], m[3]) for m in FENCE.finditer(text_of(ROOT / page))]


def example(page: str, name: str) -> str:
    [body] = [body for _, called, body in fences(page) if called == name]
    return body


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)

# ------------------------------------------------------------------------------------------------- docs/adding.md


@contextmanager
def added(package: ModuleType, file_name: str, folder: Path) -> Generator[None]:
    """Let an example of adding.md lie in its folder, as its catalogue sees it."""
    stem = Path(file_name).stem
    (folder / f"{stem}.py").write_text(example("docs/adding.md", file_name), encoding="utf-8")
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
        assert [(step.rule, step.severity) for step in steps] == [("water_level.flooded", Severity.MAJOR)]


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
    def _there(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
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
        payload = example("docs/adding.md", "kv/MH-0001").encode()
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
        with added(rules.kinds, "src/rules/kinds/range.py", tmp_path):
            yield

    def test_the_example_fires_after_its_hold_on_either_side_and_clears(self) -> None:
        offered: Any = load_rule_kinds()["range"]
        condition = offered("volt_v", low=198.0, high=235.0, hold_s=60.0)
        rule = Rule("streetlight.voltage", "Supply voltage out of range", "供电电压异常", condition)
        plan = make_plan([rule], interval_s=900, validity_factor=1.5, overrides={rule.key: {"low": 190}})
        tracks = Tracks()
        steps: list[Transition] = []
        for minute, volts in enumerate([220.0, 195.0, 189.0, 250.0, 230.0]):
            at = NOW + timedelta(minutes=minute)
            steps += judge(plan, tracks, reading(at, volt_v=volts), Hearing(None, None))
        assert [(step.step, step.at) for step in steps] == [
            (Step.OPENED, NOW + timedelta(minutes=3)),
            (Step.CLEARED, NOW + timedelta(minutes=4)),
        ]
        assert judge(plan, tracks, reading(tilt_deg=1.0), Hearing(None, None)) == []
        assert orjson.loads(orjson.dumps(condition.as_data())) == condition.as_data()

    @pytest.mark.parametrize("wrong", [{"limit": 3}, {"low": "3"}, {"low": True}, {"low": 300}])
    def test_it_refuses_an_override_that_does_not_fit(self, wrong: dict[str, object]) -> None:
        offered: Any = load_rule_kinds()["range"]
        with pytest.raises(RuleOverrideError):
            offered("volt_v", low=198.0, high=235.0).overridden(wrong)


# ------------------------------------------------------------------------------------------------- every page


def anchors(page: Path) -> set[str]:
    """Headings as links name them: small letters, dashes for spaces, no punctuation."""
    bare = FENCE.sub("", text_of(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(bare)}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for pair in LINK.findall(FENCE.sub("", text_of(page))):
        target = pair[0] or pair[1]
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page_id(page)}: {target} does not exist"
        assert not anchor or anchor in anchors(found), f"{page_id(page)}: {target} has no such heading"


@each_page
def test_every_path_of_the_house_that_is_named_exists(page: Path) -> None:
    for span in SPAN.findall(FENCE.sub("", text_of(page))):
        if HOUSE_PATH.fullmatch(span):
            assert (ROOT / span).exists(), f"{page_id(page)}: {span} does not exist"


def commands(page: Path) -> Iterator[list[str]]:
    """Every command of a shell block or of `a span`, as its words."""
    lines: list[str] = SPAN.findall(FENCE.sub("", text_of(page)))
    for language, _, body in fences(page_id(page)):
        if language in {"sh", "console"}:
            lines += body.replace("\\\n", " ").splitlines()
    for line in lines:
        for part in re.split(r"\||&&|;", line.removeprefix("$ ")):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # a quotation that goes on over several lines: JSON given to curl
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield words


def group_of(words: list[str]) -> tuple[Any, list[str]] | None:
    """The command line a documented command belongs to, and its words; ``None`` for other programs."""
    if words[:3] == ["docker", "compose", "run"]:
        inside = [word for word in words[3:] if word != "--rm"][1:]  # what follows the service's name
        return (typer.main.get_command(build_app()), inside) if inside else None
    match Path(words[0]).name:
        case "streetwarden":
            return typer.main.get_command(build_app()), words[1:]
        case "streetwarden-sim":
            return typer.main.get_command(simulator_app), words[1:]
        case _:
            return None


@each_page
def test_every_command_that_is_named_exists_with_those_options(page: Path) -> None:
    for words in commands(page):
        found = group_of(words)
        if found is None:
            continue
        command, rest = found
        while rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, f"{page_id(page)}: there is no command {shlex.join(words)}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        given_options = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given_options <= known, f"{page_id(page)}: {shlex.join(words)}"


@each_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert {word for word in words[1:] if re.fullmatch("[a-z]+", word)} <= targets, shlex.join(words)


@pytest.fixture(scope="module")
def addresses() -> list[str]:
    app = create_app(cast("Any", None), SystemClock())
    return [re.sub(r"\{\w+\}", "[^/]+", path) for path in app.openapi()["paths"]]


@each_page
def test_every_address_of_the_api_that_is_named_exists(page: Path, addresses: list[str]) -> None:
    for named in ADDRESS.findall(text_of(page)):
        assert any(re.fullmatch(address, named) for address in addresses), f"{page_id(page)}: {named}"


@each_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}(?!TEST_)([A-Z_]+[A-Z])\b", text_of(page)))
    assert {name.lower() for name in named} <= Settings.model_fields.keys()


# ------------------------------------------------------------------------------------------------- tables


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its two head lines."""
    section = text_of(ROOT / page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_settings_is_whole_and_tells_the_defaults() -> None:
    told = {row[0].strip("`"): row[1] for row in rows("docs/operations.md", "Settings")}
    assert told.keys() == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default_factory is None:
            default = "none" if field.default is None else f"`{field.default}`"
            assert told[f"{PREFIX}{name.upper()}"] == default


def test_the_table_of_exit_codes_is_the_programs_own() -> None:
    told = {int(row[0]): row[1] for row in rows("docs/operations.md", "Exit codes")}
    assert told == EXIT_CODES


def test_the_table_of_default_rules_is_what_the_kinds_say() -> None:
    told = rows("docs/rules.md", "Default rules")
    assert told == [rule_row(rule) for kind in load_kinds().values() for rule in kind.rules], "\n".join(
        "| " + " | ".join(rule_row(rule)) + " |" for kind in load_kinds().values() for rule in kind.rules
    )


def rule_row(rule: Rule) -> list[str]:
    data: Any = rule.condition.as_data()
    if rule.condition.silence_intervals is not None:
        fires = f"{data['severity']}: nothing heard for {data['intervals']:g} intervals"
        return [f"`{rule.key}`", "", fires, ticket_of(rule)]
    sign = "≥" if data["side"] == "above" else "≤"
    levels = [
        f"{level['severity']}: {sign} {level['limit']:g}"
        + (f" for {level['hold_s']:g} s" if level["hold_s"] else "")
        + (f", clears beyond {level['clear']:g}" if level["clear"] is not None else "")
        for level in data["levels"]
    ]
    return [f"`{rule.key}`", f"`{data['measure']}`", "<br>".join(levels), ticket_of(rule)]


def ticket_of(rule: Rule) -> str:
    if rule.case_class is None:
        return "alert only"
    gravest = min(level.severity for level in rule.condition.levels)
    later = len(rule.condition.levels) > 1 and rule.ticket_from == gravest
    return f"`{rule.case_class}`" + (f" from {int(rule.ticket_from)}" if later else "")


# ------------------------------------------------------------------------------------------------- the first reading


def test_the_readmes_first_reading_raises_its_alert_at_once() -> None:
    shell = "\n".join(body for language, _, body in fences("README.md") if language == "sh").replace("\\\n", " ")
    [device] = [NewDevice(**orjson.loads(text)) for text in re.findall(r"/v1/devices .*?-d '(\{.*?\})'\n", shell, re.DOTALL)]
    entry = DeviceEntry(name=device.name, kind=device.kind, district=device.district, asset="WELL-0001")
    assert not list(object_to_device(entry, vocabulary()))
    [(topic, payload)] = re.findall(r"-t (city/\S+)\s+-m '(\{.*?\})'", shell)
    native = load_formats()["native"]
    address = native.read_topic(topic)
    assert address == Address("native", device.name, "telemetry", device.kind, device.district)
    [sample] = native.decode(address, payload.encode(), NOW).samples
    kind = load_kinds()[device.kind]
    bounds = TimeBounds(timedelta(seconds=300), timedelta(days=400))
    made = normalise(Device(1, device.name, kind.key, device.district), limits_of(kind), sample, NOW, bounds)
    plan = make_plan(kind.rules, interval_s=kind.interval_s, validity_factor=kind.validity_factor, overrides={})
    [step] = judge(plan, Tracks(), made, Hearing(None, None))
    assert (step.step, step.severity, step.at) == (Step.OPENED, Severity.CRITICAL, NOW)
    assert plan.rules[step.rule].ticket_from >= step.severity


# ------------------------------------------------------------------------------------------------- compose.yaml


COMPOSE: Any = yaml.safe_load(text_of(ROOT / "compose.yaml"))


def test_compose_starts_commands_that_exist_with_settings_that_exist() -> None:
    cli: Any = typer.main.get_command(build_app())
    own = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "streetwarden"}
    assert {name: service["command"][0] for name, service in own.items()} == {name: name for name in own}
    assert own.keys() <= cli.commands.keys()
    for service in own.values():
        settings = {name.removeprefix(PREFIX).lower() for name in service.get("environment", {})}
        assert settings <= Settings.model_fields.keys()


def test_compose_names_no_password_and_only_files_that_are_there_or_are_made() -> None:
    assert not re.search(r"PASSWORD:|://\w+:", text_of(ROOT / "compose.yaml"))
    made = set(re.findall(r"> (\S+)$", text_of(ROOT / "deploy" / "make-secrets.sh"), re.MULTILINE))
    needed = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} | {"service.env"}
    assert needed <= made
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    for source in (mount.partition(":")[0] for mount in mounts):
        assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_compose_watches_every_program_and_opens_nothing_to_other_machines() -> None:
    for name, service in COMPOSE["services"].items():
        assert "healthcheck" in service or name == "api", "the image's own is the API's"
        for port in service.get("ports", []):
            assert re.match(r"\$\{[A-Z]+_BIND:-127\.0\.0\.1\}:", port)
