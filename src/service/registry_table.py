"""The registry as a CSV file: reads the bytes Excel and others write, and makes assets and devices of its rows."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, NamedTuple

import orjson

from api.registration import Objection, Vocabulary, object_to_asset, object_to_device, tidy_alias
from domain.errors import InvalidInputError
from ingest.json_text import as_object
from store.registry import NATIVE, AssetEntry, DeviceEntry

REQUIRED: Final = ("kind", "district")
OPTIONAL: Final = (
    "device",
    "asset",
    "component_code",
    "unit_grid",
    "longitude",
    "latitude",
    "address",
    "owner",
    "keeper",
    "site",
    "circuit",
    "interval_s",
    "aliases",
    "simulated",
    "baseline_deg",
    "fields",
)
_ASSET_COLUMNS: Final = (
    "component_code",
    "unit_grid",
    "longitude",
    "latitude",
    "address",
    "owner",
    "keeper",
    "site",
    "circuit",
)
_COLUMN_OF: Final = {"overrides": "baseline_deg"}
"""Where the name of a field is not that of its column."""
_TRUE: Final = ("true", "1", "yes", "y", "是")
_FALSE: Final = ("false", "0", "no", "n", "否")
_WIDEST_CELL: Final = 64 * 1024
_TILT: Final = "tilt"


class BadCell(NamedTuple):
    """Why one cell cannot be taken."""

    line: int
    column: str
    expected: str


class RowOf(NamedTuple):
    """What one line asks for, and the line."""

    line: int
    asset: AssetEntry | None
    device: DeviceEntry | None


@dataclass(slots=True)
class Sheet:
    """Everything a file says."""

    encoding: str
    """As read: UTF-8, UTF-8 with a byte order mark, or GB18030 (GBK and more)."""
    rows: list[RowOf] = field(default_factory=list[RowOf])
    assets: dict[str, AssetEntry] = field(default_factory=dict[str, AssetEntry])
    """Each asset once, with all that its lines say of it."""
    bad: list[BadCell] = field(default_factory=list[BadCell])


def decode_text(content: bytes) -> tuple[str, str]:
    """Read the text and say in which encoding it was.

    UTF-8 is tried first: GBK text is never valid UTF-8 by chance for more than a few characters, but most UTF-8 text
    can be misread as GBK.

    Raises:
        InvalidInputError: it is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidInputError("The file is UTF-16; save it as CSV UTF-8 (in Excel: CSV UTF-8, comma separated).")
    for encoding, name in (("utf-8-sig", "UTF-8"), ("gb18030", "GBK")):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        marked = name == "UTF-8" and content.startswith(codecs.BOM_UTF8)
        return text, "UTF-8 with byte order mark" if marked else name
    raise InvalidInputError("The file is neither UTF-8 nor GBK text; save it as CSV UTF-8.")


def read_sheet(content: bytes, vocabulary: Vocabulary) -> Sheet:
    """Read and judge every line; what is wrong stands in ``bad``, cell by cell.

    Raises:
        InvalidInputError: the file is no CSV with the columns that an import needs.
    """
    text, encoding = decode_text(content)
    sheet = Sheet(encoding)
    seen_devices: dict[str, int] = {}
    csv.field_size_limit(_WIDEST_CELL)
    try:
        for line, cells in _lines(text):
            _add(sheet, line, cells, vocabulary, seen_devices)
    except csv.Error as error:
        raise InvalidInputError(f"The file cannot be read as CSV: {error}.") from error
    return sheet


def _lines(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each line with cells, by column."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip().lower() for name in next(reader, list[str]())]
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    missing = [name for name in REQUIRED if name not in header]
    if missing or unknown or len(set(header)) != len(header):
        wrong = f"has no {missing[0]}" if missing else f"has {unknown[0]!r}" if unknown else "names a column twice"
        known = ", ".join((*REQUIRED, *OPTIONAL))
        raise InvalidInputError(f"The first line {wrong}; the columns are {known}, separated by commas.")
    for cells in reader:
        if any(cell.strip() for cell in cells):
            # A short line has empty cells at its end; what lies beyond the header has no column to be of.
            padded = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
            named = dict(zip(header, padded, strict=False))
            if any(padded[len(header) :]):
                named["\n"] = "more"
            yield reader.line_num, named


def _add(
    sheet: Sheet, line: int, cells: Mapping[str, str], vocabulary: Vocabulary, seen_devices: dict[str, int]
) -> None:
    bad: list[BadCell] = []
    if "\n" in cells:
        bad.append(BadCell(line, "(end)", "no more cells than the first line has; quote a comma inside a cell"))
    if not cells.get("device") and not cells.get("asset"):
        bad.append(BadCell(line, "device", "a device, an asset, or both"))
    asset = _asset(cells, line, bad) if cells.get("asset") else None
    device = _device(cells, line, bad, vocabulary) if cells.get("device") else None
    if asset is not None:
        bad += _named(line, object_to_asset(asset, vocabulary), "asset")
        asset = _merged(sheet, asset, line, bad)
    if device is not None:
        bad += _named(line, object_to_device(device, vocabulary), "device")
        first = seen_devices.setdefault(device.name, line)
        if first != line:
            bad.append(BadCell(line, "device", f"each device once; {device.name} stands in line {first} too"))
    # The same cell may be wrong for the asset and for the device: say it once.
    sheet.bad += dict.fromkeys(bad)
    sheet.rows.append(RowOf(line, asset, device))


def _named(line: int, objections: Iterator[Objection], what: str) -> Iterator[BadCell]:
    for objection in objections:
        column = what if objection.field == "name" else _COLUMN_OF.get(objection.field, objection.field)
        yield BadCell(line, column, objection.expected)


def _asset(cells: Mapping[str, str], line: int, bad: list[BadCell]) -> AssetEntry:
    return AssetEntry(
        name=cells["asset"],
        kind=cells["kind"],
        district=cells["district"],
        component_code=cells.get("component_code") or None,
        unit_grid=cells.get("unit_grid") or None,
        longitude=_number(cells, "longitude", line, bad),
        latitude=_number(cells, "latitude", line, bad),
        address=cells.get("address") or None,
        owner=cells.get("owner") or None,
        keeper=cells.get("keeper") or None,
        site=cells.get("site") or None,
        circuit=cells.get("circuit") or None,
    )


def _device(cells: Mapping[str, str], line: int, bad: list[BadCell], vocabulary: Vocabulary) -> DeviceEntry:
    baseline = _number(cells, "baseline_deg", line, bad)
    overrides = None
    if baseline is not None:
        overrides = {f"{cells['kind']}.{_TILT}": {"baseline": baseline}}
        kind = vocabulary.kinds.get(cells["kind"])
        if kind is not None and not any(rule.key in overrides for rule in kind.rules):
            bad.append(BadCell(line, "baseline_deg", f"nothing: a {kind.key} has no rule on tilt"))
            overrides = None
    return DeviceEntry(
        name=cells["device"],
        kind=cells["kind"],
        district=cells["district"],
        interval_s=_number(cells, "interval_s", line, bad),
        fields=_fields(cells, line, bad),
        overrides=overrides,
        simulated=_flag(cells, line, bad),
        aliases=_aliases(cells, line, bad),
        asset=cells.get("asset") or None,
    )


def _merged(sheet: Sheet, asset: AssetEntry, line: int, bad: list[BadCell]) -> AssetEntry:
    """Put together what several lines say of one asset; where they contradict each other the later one is bad."""
    known = sheet.assets.get(asset.name)
    if known is None:
        sheet.assets[asset.name] = asset
        return asset
    told: dict[str, Any] = {}
    for each in fields(AssetEntry):
        before, now = getattr(known, each.name), getattr(asset, each.name)
        if now is None:
            continue
        if before is not None and before != now:
            bad.append(BadCell(line, each.name, f"{before}, as an earlier line says of asset {asset.name}"))
        told[each.name] = now
    sheet.assets[asset.name] = replace(known, **told)
    return asset


def _number(cells: Mapping[str, str], column: str, line: int, bad: list[BadCell]) -> float | None:
    text = cells.get(column)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        bad.append(BadCell(line, column, f"a number, not {text[:40]!r}"))
        return None


def _flag(cells: Mapping[str, str], line: int, bad: list[BadCell]) -> bool | None:
    text = (cells.get("simulated") or "").lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text:
        bad.append(BadCell(line, "simulated", "true or false"))
    return None


def _aliases(cells: Mapping[str, str], line: int, bad: list[BadCell]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in (cells.get("aliases") or "").split(";"))):
        source, equals, alias = pair.partition("=")
        source = source.strip()
        if not equals or source in found:
            bad.append(BadCell(line, "aliases", f"source=alias, separated by ;, each source once, not {pair[:60]!r}"))
            continue
        found[source] = tidy_alias(source, alias)
    if found.get(NATIVE) == cells["device"]:
        del found[NATIVE]
    return found


def _fields(cells: Mapping[str, str], line: int, bad: list[BadCell]) -> dict[str, str] | None:
    text = cells.get("fields")
    if not text:
        return None
    try:
        told: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        told = None
    named = as_object(told)
    if named is None or not all(isinstance(value, str) for value in named.values()):
        bad.append(BadCell(line, "fields", 'a JSON object such as {"angle": "tilt_deg"}'))
        return None
    return {str(name): str(value) for name, value in named.items()}
