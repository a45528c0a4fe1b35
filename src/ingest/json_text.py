"""Strict JSON reading shared by the payload formats: bytes in, plain values or a :class:`DecodeError` out."""

import json
from typing import Any, Final

import orjson

from domain.ledger import Reason
from ingest.format import DecodeError

MAX_LEVELS: Final = 16
"""No payload we read nests deeper. Deeper ones are named ``too_deep``, so that a bomb does not look like a typo."""

_SHOWN: Final = 48
"""Characters of a stranger's value that an error sentence repeats at most."""

_NESTING_ERRORS: Final = ("depth", "recursion", "allocate")
"""orjson's words for "nested too deep". An unclosed ``[[[[…`` is reported as a failed allocation: its parser sizes its
memory by the length of the text and runs out of it first."""


def read_json(payload: bytes) -> Any:
    """Parse strict JSON: UTF-8 only, no NaN, no Infinity, no number beyond a double; of equal keys the last counts.

    Raises:
        DecodeError: ``not_utf8``, ``too_deep`` or ``not_json``.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise _unreadable(payload, error) from None


def read_object(payload: bytes, what: str) -> dict[str, Any]:
    """Parse a payload that must be one JSON object; ``what`` names it in the error sentence.

    Raises:
        DecodeError: it is no JSON, or JSON of another shape.
    """
    body = read_json(payload)
    held = as_object(body)
    if held is None:
        raise misshapen(body, f"{what} must be a JSON object, not {shown(body)}")
    return held


def as_object(value: object) -> dict[str, Any] | None:
    """The value if it is a JSON object, whose keys are always texts, else ``None``."""
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]


def as_list(value: object) -> list[Any] | None:
    """The value if it is a JSON list, else ``None``."""
    return value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType]


def misshapen(body: object, detail: str) -> DecodeError:
    """Build the error for valid JSON of a wrong shape: ``too_deep`` where it nests absurdly, else ``wrong_shape``."""
    if nests_deeper(body, MAX_LEVELS):
        return DecodeError(Reason.TOO_DEEP, f"nested deeper than {MAX_LEVELS} levels")
    return DecodeError(Reason.WRONG_SHAPE, detail)


def nests_deeper(value: object, levels: int) -> bool:
    """Tell whether lists and objects lie within each other more than ``levels`` times (no recursion: it is hostile)."""
    layer: list[Any] = [value]
    for _ in range(levels + 1):
        inner: list[Any] = []
        for item in layer:
            inner.extend((as_object(item) or {}).values())
            inner.extend(as_list(item) or ())
        if not inner:
            return False
        layer = inner
    return any(isinstance(item, dict | list) for item in layer)


def shown(value: object) -> str:
    """A stranger's value as an error sentence may repeat it: short, one line, never a whole structure."""
    if as_object(value) is not None:
        return "an object"
    if as_list(value) is not None:
        return "a list"
    if value is None:
        return "null"
    text = json.dumps(value[:_SHOWN] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _unreadable(payload: bytes, error: orjson.JSONDecodeError) -> DecodeError:
    """Find out, on the error path alone, which of the three ways of being unreadable this is."""
    try:
        payload.decode()
    except UnicodeDecodeError as broken:
        return DecodeError(Reason.NOT_UTF8, f"byte {broken.start} is not valid UTF-8")
    message = str(error)
    if any(word in message.lower() for word in _NESTING_ERRORS):
        return DecodeError(Reason.TOO_DEEP, f"nested deeper than {MAX_LEVELS} levels")
    return DecodeError(Reason.NOT_JSON, f"not valid JSON: {message}")
