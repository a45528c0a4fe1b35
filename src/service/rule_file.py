"""Rule files: YAML read into rules of the book, and rules written so; what is wrong is told with file and line."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import yaml

from devices.catalogue import load_group_rules, load_kinds
from devices.rule_book import RULE_KEY, SPANNING, BookRule, read_rule
from domain.errors import InvalidInputError
from rules.parameters import Objection, WrongParametersError
from service.yaml_spots import Spot, compose

_MOST: Final = 1_000
"""Rules in a file; each costs every device of its kind."""


class WrongRuleFileError(InvalidInputError):
    """A rule file of which nothing is taken."""

    def __init__(self, complaints: Sequence[str]) -> None:
        """Keep every complaint; each names file and line."""
        super().__init__("\n".join(complaints))
        self.complaints = tuple(complaints)


def read_rules(path: Path, beside: Collection[str] = ()) -> list[BookRule]:
    """Read every rule of a file. A rule over several devices names defaults, rules of the file, and those ``beside``.

    Raises:
        InvalidInputError: it cannot be read, or something in it is not what it must be; then all of it is told.
    """
    top = compose(path, "a rule file has rules").fields(needed=("rules",))
    spots = top["rules"].items()
    if len(spots) > _MOST:
        raise top["rules"].wrong(f"at most {_MOST} rules")
    kinds = load_kinds()
    there = {*beside, *_keys_in(spots)}
    found: dict[str, BookRule] = {}
    complaints: list[str] = []
    for spot in spots:
        try:
            one = read_rule(spot.data(), kinds, there)
        except WrongParametersError as error:
            complaints += [_complaint(spot, each) for each in error.objections]
        except InvalidInputError as error:
            complaints.append(str(error))
        else:
            if one.rule.key in found:
                complaints.append(f"{spot.at(('key',)).place}: {one.rule.key} stands twice")
            found[one.rule.key] = one
    if complaints:
        raise WrongRuleFileError(complaints)
    return list(found.values())


def keys_told(paths: Iterable[Path]) -> set[str]:
    """Keys of the rules of single devices that stand in files, as far as they can be read."""
    found: set[str] = set()
    for path in paths:
        with suppress(InvalidInputError):
            found |= _keys_in(compose(path, "a rule file has rules").fields(needed=("rules",))["rules"].items())
    return found


def read_rule_files(paths: Iterable[Path], beside: Collection[str] = ()) -> list[tuple[BookRule, Path]]:
    """Read the rules of several files, each with its file; ``beside`` them stand those of the book.

    Raises:
        WrongRuleFileError: with what is wrong in all of them, and with every key that stands in two.
    """
    found: dict[str, tuple[BookRule, Path]] = {}
    complaints: list[str] = []
    paths = tuple(paths)
    beside = {*beside, *keys_told(paths)}
    for path in paths:
        try:
            rules = read_rules(path, beside)
        except InvalidInputError as error:
            complaints += str(error).split("\n")
            continue
        for one in rules:
            if one.rule.key in found:
                complaints.append(f"{path}: {one.rule.key} stands in {found[one.rule.key][1]}, too")
            found[one.rule.key] = one, path
    if complaints:
        raise WrongRuleFileError(complaints)
    return list(found.values())


def write_rules(rules: Iterable[BookRule]) -> str:
    """Rules as a rule file."""
    return yaml.dump(
        {"rules": [one.document() for one in rules]},
        Dumper=yaml.SafeDumper,
        allow_unicode=True,
        sort_keys=False,
        width=110,
    )


def _keys_in(spots: Iterable[Spot]) -> set[str]:
    """Keys of rules of single devices. What is wrong with them is told when the rules are read."""
    found: set[str] = set()
    several = load_group_rules()
    for spot in spots:
        with suppress(InvalidInputError):
            told = spot.entries()
            key, kind = (told[name].scalar() if name in told else None for name in ("key", "kind"))
            if isinstance(key, str) and RULE_KEY.fullmatch(key) and key not in several and kind not in SPANNING:
                found.add(key)
    return found


def _complaint(spot: Spot, objection: Objection) -> str:
    place = spot.at(objection.path, name=objection.strange).place
    key = spot.entries().get("key")
    of = f"{key.node.value}: " if key is not None and isinstance(key.node.value, str) and objection.path else ""
    return f"{place}: {of}{objection}"
