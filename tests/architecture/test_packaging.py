"""The four guards that literal packages under ``src`` need; each answers a failure that was seen to happen."""

import importlib.metadata
import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DECLARED = set(PYPROJECT["tool"]["importlinter"]["root_packages"])


def packages() -> set[str]:
    found = {folder.name for folder in (ROOT / "src").iterdir() if folder.is_dir() and any(folder.rglob("*.py"))}
    return found | {"simulators"}


@pytest.mark.parametrize("name", sorted(packages()))
def test_our_top_level_names_are_ours(name: str) -> None:
    """A distribution of the same name would win over an editable checkout, and everything would fail strangely."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)
    owners = set(importlib.metadata.packages_distributions().get(name, ["streetwarden"]))
    assert owners == {"streetwarden"}


def test_every_package_is_declared() -> None:
    """A package that no contract names may import anything unseen."""
    assert packages() == DECLARED
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layered = {
        name.strip()
        for contract in contracts
        if contract["type"] == "layers"
        for layer in contract["layers"]
        for name in layer.split("|")
    }
    assert layered == DECLARED - {"simulators"}
    assert set(PYPROJECT["tool"]["deptry"]["known_first_party"]) == DECLARED


def test_every_package_has_its_opening_file() -> None:
    """A folder without ``__init__.py`` would be a namespace package, which tools see differently."""
    modules = [path for place in ("src", "simulators") for path in (ROOT / place).rglob("*.py")]
    bare = {path.parent for path in modules if not (path.parent / "__init__.py").exists()}
    assert bare == set()


def test_tests_are_not_packages() -> None:
    """``tests/rules/__init__.py`` would hide ``src/rules``."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_src_is_not_a_package() -> None:
    """``src.domain`` and ``domain`` would be two modules with two of each class."""
    assert not (ROOT / "src" / "__init__.py").exists()


def test_an_installed_wheel_carries_the_migrations() -> None:
    forced = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert forced == {"migrations": "store/migrations"}
    assert (ROOT / "migrations" / "env.py").exists()
