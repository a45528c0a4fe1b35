"""What a registration must satisfy, whether it comes over the API or in a file: the one place that judges it."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from devices.kind import DeviceKind
from domain.device import DEVICE_NAME, DISTRICT_CODE, LifeCycle
from domain.errors import InvalidInputError
from domain.scope import Group, Scope
from rules.rule import RuleOverrideError
from store.registry import NATIVE, AssetEntry, DeviceEntry

ASSET_NAME: Final = re.compile(r"[^\s/\x00-\x1f\x7f](?:[^/\x00-\x1f\x7f]{0,98}[^\s/\x00-\x1f\x7f])?")
"""1 to 100 characters; no slash, since the name stands in a path."""
COMPONENT_CODE: Final = re.compile(r"[0-9]{16}")
"""部件标识码: six digits of district, two and two of class, six of serial."""
UNIT_GRID: Final = re.compile(r"[0-9]{15}")
"""单元网格标识码."""
DATUMS: Final = ("wgs84", "cgcs2000")
"""Positions are taken in these two, which differ by centimetres; others are converted before they are sent."""

_HALF_TURN: Final = 180.0
_QUARTER_TURN: Final = 90.0
_EUI64: Final = re.compile(r"[0-9A-Fa-f]{16}")
_LONGEST_TEXT: Final = 500
_LARGEST_JSON: Final = 16 * 1024
_LONGEST_INTERVAL_S: Final = 366 * 86_400.0
_MEASURE_OR_FIELD: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class Objection(NamedTuple):
    """Why one field cannot be accepted."""

    field: str
    expected: str


class RegistrationError(InvalidInputError):
    """An asset or device cannot be registered as told."""

    def __init__(self, objections: list[Objection]) -> None:
        """Keep the objections, field by field."""
        super().__init__(" ".join(f"{each.field}: {each.expected}." for each in objections))
        self.objections = objections


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What registrations may name."""

    kinds: Mapping[str, DeviceKind]
    sources: Collection[str]
    """Names of the payload formats."""

    def kinds_with(self, rule: str) -> list[DeviceKind]:
        """The kinds of devices that a rule judges."""
        return [kind for kind in self.kinds.values() if any(rule == each.key for each in kind.rules)]


def tidy_alias(source: str, alias: str) -> str:
    """Write an alias as its source does: an EUI-64 comes in lower case, whatever a spreadsheet made of it."""
    alias = alias.strip()
    return alias.lower() if source != NATIVE and _EUI64.fullmatch(alias) else alias


def object_to_asset(asset: AssetEntry, vocabulary: Vocabulary) -> Iterator[Objection]:
    """Say what is wrong with an asset; nothing if it may be registered."""
    yield from _object_to_names({"name": asset.name, "site": asset.site, "circuit": asset.circuit})
    yield from _object_to_place(asset.kind, asset.district, vocabulary)
    if asset.component_code is not None and not COMPONENT_CODE.fullmatch(asset.component_code):
        yield Objection("component_code", "16 digits (部件标识码)")
    if asset.unit_grid is not None and not UNIT_GRID.fullmatch(asset.unit_grid):
        yield Objection("unit_grid", "15 digits (单元网格标识码)")
    if (asset.longitude is None) != (asset.latitude is None):
        yield Objection(
            "latitude" if asset.latitude is None else "longitude", "both longitude and latitude, or neither"
        )
    # Written so that NaN, which compares false with everything, is refused too.
    if asset.longitude is not None and not -_HALF_TURN <= asset.longitude <= _HALF_TURN:
        yield Objection("longitude", "degrees from -180 to 180 (WGS-84)")
    if asset.latitude is not None and not -_QUARTER_TURN <= asset.latitude <= _QUARTER_TURN:
        yield Objection("latitude", "degrees from -90 to 90 (WGS-84)")
    if asset.source_datum is not None and asset.source_datum not in DATUMS:
        yield Objection("source_datum", f"one of {', '.join(DATUMS)}; convert gcj02 and bd09 first")
    for name, text in (("address", asset.address), ("owner", asset.owner), ("keeper", asset.keeper)):
        yield from _object_to_text(name, text)
    yield from _object_to_json("attributes", asset.attributes)


def object_to_device(device: DeviceEntry, vocabulary: Vocabulary) -> Iterator[Objection]:
    """Say what is wrong with a device; nothing if it may be registered."""
    if not DEVICE_NAME.fullmatch(device.name):
        yield Objection("name", "1 to 64 of A-Z a-z 0-9 . _ -, since it stands in the MQTT topic")
    yield from _object_to_place(device.kind, device.district, vocabulary)
    if device.life_cycle is not None and device.life_cycle not in list(LifeCycle):
        yield Objection("life_cycle", f"one of {', '.join(LifeCycle)}")
    if device.interval_s is not None and not 0 < device.interval_s <= _LONGEST_INTERVAL_S:
        yield Objection("interval_s", "seconds between two reports, above 0 and at most a year")
    yield from _object_to_text("model", device.model)
    yield from _object_to_aliases(device, vocabulary)
    yield from _object_to_json("fields", device.fields)
    yield from _object_to_json("overrides", device.overrides)
    kind = vocabulary.kinds.get(device.kind)
    if kind is not None:
        yield from _object_to_fields(device.fields or {}, kind)
        yield from _object_to_overrides(device.overrides or {}, kind)


def object_to_override(
    group: Group, rule: str, parameters: Mapping[str, object], vocabulary: Vocabulary
) -> Iterator[Objection]:
    """Say what is wrong with what a group shall set differently in a rule; nothing if it may."""
    match group.scope:
        case Scope.GRID:
            if not UNIT_GRID.fullmatch(group.name):
                yield Objection("name", "15 digits (单元网格标识码)")
        case Scope.CIRCUIT | Scope.SITE:
            yield from _object_to_names({"name": group.name})
        case Scope.MODEL | Scope.OWNER | Scope.DEVICE:
            yield from _object_to_text("name", group.name)
    yield from _object_to_json("parameters", parameters)
    for kind in vocabulary.kinds_with(rule):
        for objection in _object_to_overrides({rule: parameters}, kind):
            yield objection._replace(field="parameters")


def require_asset(asset: AssetEntry, vocabulary: Vocabulary) -> None:
    """Raise unless the asset may be registered.

    Raises:
        RegistrationError: with every objection.
    """
    objections = list(object_to_asset(asset, vocabulary))
    if objections:
        raise RegistrationError(objections)


def require_device(device: DeviceEntry, vocabulary: Vocabulary) -> None:
    """Raise unless the device may be registered.

    Raises:
        RegistrationError: with every objection.
    """
    objections = list(object_to_device(device, vocabulary))
    if objections:
        raise RegistrationError(objections)


def _object_to_names(names: Mapping[str, str | None]) -> Iterator[Objection]:
    for field, name in names.items():
        if name is not None and not ASSET_NAME.fullmatch(name):
            yield Objection(field, "1 to 100 characters without a slash, a control character or spaces at the ends")


def _object_to_place(kind: str, district: str, vocabulary: Vocabulary) -> Iterator[Objection]:
    if kind not in vocabulary.kinds:
        yield Objection("kind", f"one of {', '.join(sorted(vocabulary.kinds))}")
    if not DISTRICT_CODE.fullmatch(district):
        yield Objection("district", "six digits (行政区划代码, GB/T 2260)")


def _object_to_text(name: str, text: str | None) -> Iterator[Objection]:
    if text is not None and (len(text) > _LONGEST_TEXT or not text.isprintable()):
        yield Objection(name, f"at most {_LONGEST_TEXT} printable characters")


def _object_to_json(name: str, value: Mapping[str, object] | None) -> Iterator[Objection]:
    try:
        written = orjson.dumps(value)
    except (TypeError, ValueError):  # a lone surrogate, an integer beyond 64 bits, a depth without end
        yield Objection(name, "a JSON object")
        return
    if len(written) > _LARGEST_JSON:
        yield Objection(name, f"at most {_LARGEST_JSON} bytes of JSON")
    if b"\\u0000" in written:
        yield Objection(name, "no NUL character: PostgreSQL cannot keep it")


def _object_to_aliases(device: DeviceEntry, vocabulary: Vocabulary) -> Iterator[Objection]:
    for source, alias in device.aliases.items():
        if source not in vocabulary.sources:
            yield Objection("aliases", f"source one of {', '.join(sorted(vocabulary.sources))}, not {source!r}")
        elif source == NATIVE and alias != device.name:
            yield Objection("aliases", "no native alias but the device's own name, which need not be told")
        elif not 0 < len(alias) <= _LONGEST_TEXT or not alias.isprintable():
            yield Objection("aliases", f"1 to {_LONGEST_TEXT} printable characters for {source}")


def _object_to_fields(fields: Mapping[str, str], kind: DeviceKind) -> Iterator[Objection]:
    measures = {measure.name for measure in kind.measures}
    for vendor, measure in fields.items():
        if not _MEASURE_OR_FIELD.fullmatch(vendor):
            yield Objection("fields", "the vendor's field name of 1 to 200 printable characters")
        if measure not in measures:
            yield Objection("fields", f"{vendor!r} as one of {', '.join(sorted(measures))}, not {measure!r}")


def _object_to_overrides(overrides: Mapping[str, Mapping[str, object]], kind: DeviceKind) -> Iterator[Objection]:
    rules = {rule.key: rule for rule in kind.rules}
    for key, parameters in overrides.items():
        rule = rules.get(key)
        if rule is None:
            yield Objection("overrides", f"one of {', '.join(sorted(rules))}, not {key!r}")
            continue
        try:
            rule.condition.overridden(parameters)
        except (RuleOverrideError, OverflowError) as error:
            yield Objection("overrides", f"{key}: {error}")
