"""The rules of the house that no tool knows: names, length, an opening sentence, nothing half done, nothing private."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for place in ("src", "simulators", "tests", "migrations") for path in (ROOT / place).rglob("*.py")
)
LONGEST = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
HALF_DONE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
OF_ONE_MACHINE = re.compile(r"/(home|Users|root)/\w|/work/(main|shared)")
REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted|index-url|registry\.npmjs", re.IGNORECASE)
TEXT_FILES = sorted(
    path
    for pattern in ("*.toml", "*.lock", "Makefile", "Dockerfile", "*.yaml", "*.yml", "*.md", ".ci/run", "docs/**/*.md")
    for path in ROOT.glob(pattern)
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def test_a_module_opens_with_a_sentence_and_is_not_long(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    sentence = ast.get_docstring(ast.parse(text)) or ""
    assert re.match(r".{10,}?[.!?](\s|$)|.{10,}?[.]$", sentence, re.DOTALL), f"{name_of(module)} opens with no sentence"
    assert len(text.splitlines()) <= LONGEST, (
        f"{name_of(module)} is longer than {LONGEST} lines: split it by what it says"
    )


def test_a_module_has_a_telling_name(module: Path) -> None:
    parts = {part for name in module.relative_to(ROOT).with_suffix("").parts for part in name.split("_")}
    assert not parts & VAGUE, f"{name_of(module)}: say what lives there"


def test_a_module_is_finished_and_hides_no_import(module: Path) -> None:
    if module == Path(__file__):
        return
    text = module.read_text(encoding="utf-8")
    assert not HALF_DONE.search(text), f"{name_of(module)} holds a note of unfinished work"
    assert "TYPE_CHECKING" not in text, f"{name_of(module)}: an import that only the type checker sees hides an edge"
    assert not OF_ONE_MACHINE.search(text), f"{name_of(module)} names a path of one machine"


@pytest.mark.parametrize("path", TEXT_FILES, ids=name_of)
def test_no_file_names_a_machine_or_a_registry(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not OF_ONE_MACHINE.search(text)
    assert not REGISTRY_HOST.search(text)
