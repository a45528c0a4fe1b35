"""The rule book: rules that people wrote beside the defaults of the device kinds; read from data, and put in force."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, cast, get_type_hints

from devices.catalogue import load_group_rules, load_kinds
from devices.kind import DeviceKind
from rules.catalogue import load_rule_kinds
from rules.kinds.balance import Balance
from rules.kinds.group import By, Group
from rules.parameters import (
    Objection,
    Path,
    Reading,
    Vocabulary,
    WrongParametersError,
    fields_by_name,
    plain,
    plain_fields,
)
from rules.rule import Condition, Level, Rule

RULE_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\.[a-z][a-z0-9_]{0,59}")
_CASE_CLASS: Final = re.compile(r"(?:E?\d{2,4}-\d{1,2}|M-[a-z_]{1,40})")
_OF_OURSELVES: Final = "reported"
"""The rule kind of what the service reports of itself, on its own device."""

SEVERAL: Final = "group"
"""What a rule over several devices is for: stands where others have their device kind."""
SPANNING: Final[Mapping[str, type[Condition]]] = {each.kind: each for each in (Balance, Group)}
_FLOWS: Final = ("m³", "m³/h")
"""Units of what a balance adds up."""

_HINTS: Final = get_type_hints(Rule)
_OF_RULE: Final[Mapping[str, Any]] = {each.name: _HINTS[each.name] for each in fields(Rule)}
NAMES: Final = ("key", "for", "kind", *(name for name in _OF_RULE if name != "key"), "enabled")
"""What a rule may be told, in the order in which it is written."""


@dataclass(frozen=True, slots=True)
class BookRule:
    """One rule of the book."""

    rule: Rule
    device_kind: str
    enabled: bool = True
    """Switched off, it judges nothing; and a default with its key does not, either."""

    def document(self) -> dict[str, object]:
        """As a rule file tells it, complete; :func:`read_rule` makes an equal one of it."""
        of_rule = {name: plain(value) for name, value in fields_by_name(self.rule).items() if name in _OF_RULE}
        told: dict[str, object] = {
            "key": self.rule.key,
            "for": self.device_kind,
            "kind": self.rule.condition.kind,
            # All of them, even what is as by default: what is left out is taken from the default with its key.
            **{name: value for name, value in of_rule.items() if name != "shadow" or value},
            "condition": plain_fields(self.rule.condition),
        }
        return told if self.enabled else {**told, "enabled": False}

    def as_data(self) -> dict[str, object]:
        """What its revision is made of: that of the rule, which alerts name; of one switched off, that it is off."""
        return self.rule.as_data() if self.enabled else {**self.rule.as_data(), "enabled": False}


def read_rule(data: object, kinds: Mapping[str, DeviceKind], beside: Collection[str] | None = None) -> BookRule:
    """Read one rule. What is left out of one with the key of a default is as there.

    ``beside``: keys of the other rules that there are beside the defaults, for a rule over several devices to name;
    ``None``: it may name any, since what stands in the book was checked when it was written.

    Raises:
        WrongParametersError: with every objection, each at its place.
    """
    if not isinstance(data, Mapping):
        raise WrongParametersError([Objection((), "a mapping of names to values", data)])
    given = cast("Mapping[str, object]", data)
    key, told = given.get("key"), given.get("kind")
    of_one = {name: kind for name, kind in load_rule_kinds().items() if name not in {_OF_OURSELVES, *SPANNING}}
    if isinstance(key, str) and key in load_group_rules():
        return _read_several(given, kinds, beside)
    of_a_default = any(rule.key == key for kind in kinds.values() for rule in kind.rules)
    if isinstance(told, str) and told in SPANNING and not of_a_default:
        return _read_several(given, kinds, beside)
    early = Reading(Vocabulary(of_one, ()))
    early.know_names(given, NAMES, (), "a rule")
    key, kind = _key_and_kind(given, kinds, early)
    if key is None or kind is None:
        raise WrongParametersError(early.objections)
    default = next((rule for rule in kind.rules if rule.key == key), None)
    reading = Reading(Vocabulary(of_one, tuple(measure.name for measure in kind.measures)))
    reading.objections += early.objections
    rule, enabled = _read(key, given, default, reading, () if of_a_default else SPANNING)
    if rule is None or reading.objections:
        raise WrongParametersError(reading.objections)
    return BookRule(rule, kind.key, enabled)


def several_with_book(book: Iterable[BookRule], defaults: Mapping[str, Rule] | None = None) -> dict[str, Rule]:
    """The rules over several devices that are in force, by key; without ``defaults``, those of the service."""
    rules = dict(load_group_rules() if defaults is None else defaults)
    for one in book:
        if one.device_kind != SEVERAL:
            continue
        if one.enabled:
            rules[one.rule.key] = one.rule
        else:
            rules.pop(one.rule.key, None)
    return rules


def with_book(kinds: Mapping[str, DeviceKind], book: Iterable[BookRule]) -> dict[str, DeviceKind]:
    """The kinds with the rules that are in force.

    A rule of the book takes the place of the default with its key; switched off, it leaves the place empty. One in
    shadow takes no place: the default goes on judging beside it.
    """
    added: dict[str, list[Rule]] = {}
    replaced: set[str] = set()
    for one in book:
        if not one.rule.shadow:
            replaced.add(one.rule.key)
        if one.enabled:
            added.setdefault(one.device_kind, []).append(one.rule)
    return {
        key: replace(
            kind,
            rules=(
                *(rule for rule in kind.rules if rule.key not in replaced),
                *sorted(added.get(key, ()), key=lambda rule: rule.key),
            ),
        )
        for key, kind in kinds.items()
    }


def _key_and_kind(
    given: Mapping[str, object], kinds: Mapping[str, DeviceKind], reading: Reading
) -> tuple[str | None, DeviceKind | None]:
    key = given.get("key")
    if not isinstance(key, str) or not RULE_KEY.fullmatch(key):
        reading.object_to(("key",), "<device kind>.<what>, both of a-z, 0-9 and _, such as manhole.steep", key)
        return None, None
    named = given.get("for", key.partition(".")[0])
    of = next((kind.key for kind in kinds.values() for rule in kind.rules if rule.key == key), None)
    if not isinstance(named, str) or named not in kinds:
        known = ", ".join(sorted(kinds))
        if "for" in given:
            reading.object_to(("for",), f"one of {known}", named)
        else:
            reading.object_to(("key",), f"of a device kind, which its first part or for names ({known})", key)
        return key, None
    if of is not None and of != named:
        reading.object_to(("for",), f"{of}: {key} is a default rule of that kind", named)
    return key, kinds[named]


def _read_several(
    given: Mapping[str, object], kinds: Mapping[str, DeviceKind], beside: Collection[str] | None
) -> BookRule:
    flows = {each.name: each.unit for kind in load_kinds().values() for each in kind.measures if each.unit in _FLOWS}
    reading = Reading(Vocabulary(SPANNING, tuple(sorted(flows))))
    reading.know_names(given, NAMES, (), "a rule")
    key = given.get("key")
    if not isinstance(key, str) or not RULE_KEY.fullmatch(key):
        reading.object_to(("key",), "<what>.<what>, both of a-z, 0-9 and _, such as manhole.washed_open", key)
        raise WrongParametersError(reading.objections)
    if given.get("for", SEVERAL) != SEVERAL:
        reading.object_to(("for",), f"{SEVERAL}, or left out, for a rule over several devices", given["for"])
    rule, enabled = _read(key, given, load_group_rules().get(key), reading)
    if rule is not None and rule.shadow:
        reading.object_to(("shadow",), "a rule over several devices cannot be on trial: shadow must be false")
    if rule is not None and isinstance(rule.condition, Balance):
        _check_balance(rule.condition, flows, reading)
    if rule is not None and isinstance(rule.condition, Group):
        there = None if beside is None else {one.key for kind in kinds.values() for one in kind.rules} | set(beside)
        _check_group(rule.condition, there, reading)
    if rule is None or reading.objections:
        raise WrongParametersError(reading.objections)
    return BookRule(rule, SEVERAL, enabled)


def _check_balance(condition: Balance, flows: Mapping[str, str], reading: Reading) -> None:
    if condition.counter != (flows.get(condition.measure) == _FLOWS[0]):
        counts = "true for a measure that counts (m³), and false for a flow (m³/h)"
        reading.object_to(("condition", "counter"), counts, condition.counter)


def _check_group(condition: Group, there: Collection[str] | None, reading: Reading) -> None:
    """What the types of its fields cannot say; and whom it names must be ``there``."""
    if condition.by is By.NEAR and condition.metres <= 0:
        reading.object_to(("condition", "metres"), "above 0 where by is near", condition.metres)
    for number, one_of in enumerate(condition.every):
        for place, key in enumerate(one_of):
            if key not in condition.members:
                reading.object_to(("condition", "every", number, place), "one of the members", key)
    if there is None:
        return
    for name, keys in (("members", condition.members), ("inhibits", condition.inhibits)):
        for number, key in enumerate(keys):
            if key not in there:
                expected = "the key of a rule that there is, and that judges single devices"
                reading.object_to(("condition", name, number), expected, key)


def _read(
    key: str, given: Mapping[str, object], default: Rule | None, reading: Reading, besides: Iterable[str] = ()
) -> tuple[Rule | None, bool]:
    values: dict[str, object] = {"key": key}
    if default is not None:
        values |= {name: getattr(default, name) for name in _OF_RULE}
        # A default is never in shadow, so what leaves shadow out is not in shadow.
    condition = _condition(given, default, reading, f"one of {', '.join(sorted({*reading.kinds, *besides}))}")
    for name, hint in _OF_RULE.items():
        if name in given and name not in {"key", "condition"}:
            values[name] = reading.value(hint, given[name], (name,))
    for name in ("title", "title_zh"):
        if name not in values:
            reading.object_to((), f"a rule needs {name}")
    enabled = reading.value(bool, given.get("enabled", True), ("enabled",)) is not False
    if values.get("shadow") and not enabled:
        reading.object_to(("enabled",), "enabled must be true where shadow is: a trial that ends is removed")
    case_class = values.get("case_class")
    if isinstance(case_class, str) and not _CASE_CLASS.fullmatch(case_class):
        reading.object_to(("case_class",), "a case class such as 0101-1, E05-02 or M-battery", case_class)
    if reading.objections or condition is None:
        return None, enabled
    values["condition"] = condition
    return Rule(**values), enabled  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # each was read by its field's type


def _condition(given: Mapping[str, object], default: Rule | None, reading: Reading, names: str) -> Condition | None:
    kind = given.get("kind", None if default is None else default.condition.kind)
    if "kind" not in given and default is None:
        reading.object_to((), f"a rule needs kind, {names}")
        return None
    if not isinstance(kind, str) or kind not in reading.kinds:
        reading.object_to(("kind",), names, kind)
        return None
    if "condition" not in given:
        if default is not None and default.condition.kind == kind:
            return default.condition
        reading.object_to((), "a rule needs condition")
        return None
    condition = reading.condition(kind, given["condition"], ("condition",))
    if condition is not None:
        _check_levels(condition, reading, ("condition",))
    return condition


def _check_levels(condition: Condition, reading: Reading, path: Path) -> None:
    """Levels stand mildest first, and each clears on the good side of its limit; so do those of parts."""
    told = fields_by_name(condition)
    below = plain(told.get("side")) == "below"
    sign = -1.0 if below else 1.0
    before: Level | None = None
    for name, value in told.items():
        entries: tuple[object, ...] = value if isinstance(value, tuple) else ()  # pyright: ignore[reportUnknownVariableType]  # a field of a rule
        for number, entry in enumerate(entries):
            here = (*path, name, number)
            if isinstance(entry, Condition):
                _check_levels(entry, reading, here)
            if not isinstance(entry, Level):
                continue
            if entry.clear is not None and sign * entry.clear > sign * entry.limit:
                side = "above" if below else "below"
                reading.object_to((*here, "clear"), f"at or {side} the limit of {entry.limit:g}", entry.clear)
            if before is not None and entry.severity >= before.severity:
                graver = f"graver than {before.severity.name.lower()}, since levels stand mildest first"
                reading.object_to((*here, "severity"), graver, entry.severity.name.lower())
            before = entry
