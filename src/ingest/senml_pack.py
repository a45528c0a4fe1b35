"""SenML packs (RFC 8428): base values resolved, rules of the standard enforced; the same for JSON and CBOR."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from domain.ledger import Reason
from ingest.format import DecodeError
from ingest.json_text import as_list, as_object, misshapen, shown

RELATIVE_BELOW: Final = 2.0**28
"""Times below this are seconds relative to now, others are epoch seconds (RFC 8428 §4.5.3)."""

VERSION: Final = 10
"""The version of RFC 8428 itself; a pack of a later one must not be processed."""

MAX_TEXT: Final = 256
"""Characters a name or unit may have. RFC 8428 sets no bound, but a base name is repeated in every record: a payload of
64 KiB could become 60 MB."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_VALUES: Final = ("v", "vb", "vs", "vd")
_NUMBERS: Final = frozenset(("bt", "bv", "bs", "v", "s", "t", "ut"))
_TEXTS: Final = frozenset(("bn", "bu", "n", "u", "vs", "vd"))
_KNOWN: Final = _NUMBERS | _TEXTS | {"bver", "vb"}


class Record(NamedTuple):
    """One record with its base values added in."""

    base: str
    """The base name in force; empty if none."""
    local: str
    """What the record itself adds to it."""
    unit: str | None
    time: float
    """Sum of base time and time: epoch seconds, or relative to now below ``RELATIVE_BELOW``."""
    label: str | None
    """Which value field it has: ``v``, ``vb``, ``vs``, ``vd``; ``None`` if a sum alone."""
    value: object
    sum: float | None
    update: float | None
    version: int

    @property
    def name(self) -> str:
        """The full name."""
        return self.base + self.local


def read_pack(pack: object) -> Iterator[Record]:
    """Read the records in the order in which they are written.

    Raises:
        DecodeError: ``wrong_shape``: a rule of RFC 8428 is broken.
    """
    items = as_list(pack)
    if items is None:
        raise misshapen(pack, f"a SenML pack is a list of records, not {shown(pack)}")
    bases: dict[str, Any] = {}
    for index, item in enumerate(items):
        try:
            record = _read_record(item, bases)
        except DecodeError as error:
            raise DecodeError(error.reason, f"record {index}: {error.detail}") from None
        if record is not None:
            yield record


def resolve(pack: object, now: float) -> list[dict[str, object]]:
    """Return the resolved records of RFC 8428 §4.6: no base fields, absolute times, in chronological order.

    Raises:
        DecodeError: a rule of RFC 8428 is broken.
    """
    resolved: list[tuple[float, dict[str, object]]] = []
    for record in read_pack(pack):
        at = record.time if record.time >= RELATIVE_BELOW else now + record.time
        fields: dict[str, object | None] = {
            "n": record.name,
            "u": record.unit,
            "t": at,
            "s": record.sum,
            "ut": record.update,
            "bver": record.version if record.version != VERSION else None,
        }
        if record.label is not None:
            fields[record.label] = record.value
        resolved.append((at, {label: value for label, value in fields.items() if value is not None}))
    return [fields for _, fields in sorted(resolved, key=lambda entry: entry[0])]


def _read_record(item: object, bases: dict[str, Any]) -> Record | None:
    """Check one record and add the bases in force; ``None`` for one that only sets bases."""
    fields = as_object(item)
    if fields is None:
        raise misshapen(item, f"must be an object, not {shown(item)}")
    _check_labels(fields)
    version = _version(fields, bases)
    bases.update((label, fields[label]) for label in ("bn", "bt", "bu", "bv", "bs") if label in fields)
    if all(label[0] == "b" for label in fields if label in _KNOWN):
        return None
    label, value = _value(fields, bases)
    total = _added(fields.get("s"), bases.get("bs")) if "s" in fields or label is None else None
    if label is None and total is None:
        raise _broken("has no value")
    base, local = bases.get("bn", ""), fields.get("n", "")
    if not _NAME.fullmatch(base + local):
        raise _broken(
            f"name {shown(base + local)} must begin with a letter or digit and hold only A-Z a-z 0-9 - : . / _"
        )
    return Record(
        base=base,
        local=local,
        unit=fields.get("u", bases.get("bu")),
        time=_added(fields.get("t"), bases.get("bt")) or 0.0,
        label=label,
        value=value,
        sum=total,
        update=fields.get("ut"),
        version=version,
    )


def _check_labels(fields: Mapping[str, Any]) -> None:
    """Refuse wrong types, and labels that must be understood and are not (RFC 8428 §4.4)."""
    for label, value in fields.items():
        if label in _NUMBERS:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise misshapen(value, f"{label} must be a number, not {shown(value)}")
        elif label in _TEXTS:
            if not isinstance(value, str):
                raise misshapen(value, f"{label} must be a text, not {shown(value)}")
            if label not in _VALUES and len(value) > MAX_TEXT:
                raise _broken(f"{label} has more than {MAX_TEXT} characters")
        elif label == "vb":
            if not isinstance(value, bool):
                raise misshapen(value, f"vb must be true or false, not {shown(value)}")
        elif label != "bver" and label.endswith("_"):
            raise _broken(f"label {shown(label)} ends in _: it must be understood, and is not")


def _version(fields: Mapping[str, Any], bases: dict[str, Any]) -> int:
    """Return the pack's version: one for all records, and none that we do not know."""
    stated: Any = fields.get("bver", bases.get("bver", VERSION))
    if not isinstance(stated, int) or isinstance(stated, bool) or not 0 < stated <= VERSION:
        raise misshapen(stated, f"version (bver) {shown(stated)} is not one of 1 to {VERSION}")
    if bases.setdefault("bver", stated) != stated:
        raise _broken(f"version (bver) {stated} differs from that of the records before")
    return stated


def _value(fields: Mapping[str, Any], bases: Mapping[str, Any]) -> tuple[str | None, object]:
    """Return label and value, the base value added to a number."""
    present: Sequence[str] = [label for label in _VALUES if label in fields]
    if len(present) > 1:
        raise _broken(f"has two values, {' and '.join(present)}")
    if not present:
        # RFC 8428 §4.1: with a base value in force, a missing value counts as zero.
        return ("v", bases["bv"]) if "bv" in bases and "s" not in fields else (None, None)
    label = present[0]
    return (label, _added(fields["v"], bases.get("bv"))) if label == "v" else (label, fields[label])


_LARGEST_INTEGER: Final = 2**63


def _added(own: float | None, base: float | None) -> float | None:
    """Add a base to what the record itself says; either may be missing, not even the sum may be infinite."""
    if own is None or base is None:
        return own if base is None else base
    total = own + base
    if not math.isfinite(total):
        raise _broken("base and value add up to more than a number can hold")
    # JSON has no integers beyond 64 bits; two that fit may add up to one that does not.
    return float(total) if abs(total) >= _LARGEST_INTEGER else total


def _broken(detail: str) -> DecodeError:
    """Build the error for a broken rule of RFC 8428."""
    return DecodeError(Reason.WRONG_SHAPE, detail)
