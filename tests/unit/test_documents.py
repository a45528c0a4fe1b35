"""What the documents say is true: examples run, links lead somewhere, commands, settings and addresses exist."""

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import typer.main

from api.app import create_app, vocabulary
from api.models.registry import NewDevice
from api.registration import object_to_device
from devices.catalogue import load_kinds
from domain.alert import Severity, Step
from domain.device import Device
from ingest.catalogue import load_formats
from ingest.format import Address
from ingest.normalise import TimeBounds, limits_of, normalise
from rules.engine import Hearing, judge
from rules.kinds.expected import Expected
from rules.plan import make_plan
from rules.rule import Rule
from rules.tracks import Tracks
from service.cli import build_app
from service.clock import SystemClock
from service.failures import EXIT_CODES
from service.settings import PREFIX, Settings
from simulators.cli import build_app as build_simulator
from store.registry import DeviceEntry
from tests.support.documents import FENCE, ROOT, fences, text_of

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)

SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
HOUSE_PATH = re.compile(r"(?:src|simulators|migrations|tests|docs|deploy)/[\w./-]*")
ADDRESS = re.compile(r"(?<![\w/])/v1/[\w/{}.-]*\w[\w}]*")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)

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
            return typer.main.get_command(build_simulator()), words[1:]
        case _:
            return None


@each_page
def test_every_command_that_is_named_exists_with_those_options(page: Path) -> None:
    for words in commands(page):
        found = group_of(words)
        if found is None:
            continue
        command, rest = found
        while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
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
    if isinstance(rule.condition, Expected):
        measures = ", ".join(f"`{measure}`" for measure in rule.condition.measures)
        fires = (
            f"{int(rule.condition.severity)}: {rule.condition.wrong} against schedule for {rule.condition.hold_s:g} s"
        )
        return [f"`{rule.key}`", measures, fires, ticket_of(rule)]
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
    [device] = [
        NewDevice(**orjson.loads(text)) for text in re.findall(r"/v1/devices .*?-d '(\{.*?\})'\n", shell, re.DOTALL)
    ]
    entry = DeviceEntry(name=device.name, kind=device.kind, district=device.district, asset="WELL-0001")
    assert not list(object_to_device(entry, vocabulary()))
    [(topic, payload)] = re.findall(r"-t (city/\S+)\s+-m '(\{.*?\})'", shell)
    native = load_formats()["native"]
    address = native.read_topic(topic)
    assert address is not None
    assert address == Address("native", device.name, "telemetry", device.kind, device.district)
    [sample] = native.decode(address, payload.encode(), NOW).samples
    kind = load_kinds()[device.kind]
    bounds = TimeBounds(timedelta(seconds=300), timedelta(days=400))
    made = normalise(Device(1, device.name, kind.key, device.district), limits_of(kind), sample, NOW, bounds)
    plan = make_plan(kind.rules, interval_s=kind.interval_s, validity_factor=kind.validity_factor, overrides={})
    [step] = judge(plan, Tracks(), made, Hearing(None, None))
    assert (step.step, step.severity, step.at) == (Step.OPENED, Severity.CRITICAL, NOW)
    assert plan.rules[step.rule].ticket_from >= step.severity
