"""Rule files: YAML read into rules of the book, and rules written so; what is wrong is told with file and line."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import yaml

from devices.catalogue import load_kinds
from devices.rule_book import BookRule, read_rule
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


def read_rules(path: Path) -> list[BookRule]:
    """Read every rule of a file.

    Raises:
        InvalidInputError: it cannot be read, or something in it is not what it must be; then all of it is told.
    """
    top = compose(path, "a rule file has rules").fields(needed=("rules",))
    spots = top["rules"].items()
    if len(spots) > _MOST:
        raise top["rules"].wrong(f"at most {_MOST} rules")
    kinds = load_kinds()
    found: dict[str, BookRule] = {}
    complaints: list[str] = []
    for spot in spots:
        try:
            one = read_rule(spot.data(), kinds)
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


def read_rule_files(paths: Iterable[Path]) -> list[tuple[BookRule, Path]]:
    """Read the rules of several files, each with its file.

    Raises:
        WrongRuleFileError: with what is wrong in all of them, and with every key that stands in two.
    """
    found: dict[str, tuple[BookRule, Path]] = {}
    complaints: list[str] = []
    for path in paths:
        try:
            rules = read_rules(path)
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


def _complaint(spot: Spot, objection: Objection) -> str:
    place = spot.at(objection.path, name=objection.strange).place
    key = spot.entries().get("key")
    of = f"{key.node.value}: " if key is not None and isinstance(key.node.value, str) and objection.path else ""
    return f"{place}: {of}{objection}"
