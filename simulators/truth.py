"""The truth of a run: what really went wrong in the simulated city, and which alerts must, may and must not follow.

``truth.jsonl`` holds one fault instance a line, ``run.json`` says what was played. Who plays writes them, who scores
reads them; both know nothing of each other but this. A file that says something unknown is refused: a misspelt
``forbid`` would make the oracle blind without a word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import orjson
from pydantic import AfterValidator, AwareDatetime, ConfigDict, TypeAdapter, ValidationError

from domain.errors import InvalidInputError
from ingest.json_text import as_object

TRUTH_FILE: Final = "truth.jsonl"
RUN_FILE: Final = "run.json"

Instant = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
"""An aware time, kept in UTC; a file writes it as RFC 3339."""

_EXACT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Expectation:
    """An alert that must follow from a fault."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    device: str
    rule: str
    """Key of the rule, for example ``manhole.tilt``."""
    by: Instant
    """Latest time, in the time of the simulated city, at which the alert must stand."""
    case_class: str | None = None
    """Of the ticket that must follow, too."""
    ticket: bool = False
    """Whether a ticket must be behind the alert; where not, none may be."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """An alert that this fault must not raise while it lasts."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    device: str
    rule: str
    why: str
    """One sentence, for the report."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A side effect: this alert may follow, and nobody is praised or blamed for it."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    device: str
    rule: str


@dataclass(frozen=True, slots=True)
class FaultInstance:
    """One thing that went wrong, once."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    id: str
    """For example ``F000123``; unique within a run."""
    fault: str
    """Which fault, with its kind: ``manhole.opened``."""
    kind: str
    """Key of the device kind; ``network`` and the like where it is no device's."""
    device: str | None
    """The device it happens to, or the first of several."""
    asset: str | None
    begins: Instant
    ends: Instant | None
    """``None``: it outlasts the run."""
    devices: tuple[str, ...] = ()
    """All devices that it touches, ``device`` among them."""
    group: str | None = None
    """What they have in common, for example ``circuit:C-0007``."""
    expect: tuple[Expectation, ...] = ()
    forbid: tuple[Forbidden, ...] = ()
    allow: tuple[Allowed, ...] = ()
    needs: str | None = None
    """Rule kind of a rule that is no default yet: what is expected of a rule that is not in force is told apart."""
    note: str = ""
    """One sentence for people: what happened, and why it is hard to see."""


class Purpose(StrEnum):
    """What a run is for. Thresholds tuned on a run say nothing about the service when they are met by that very run."""

    TUNING = "tuning"
    JUDGING = "judging"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What was played."""

    scenario: str
    purpose: Purpose
    seed: int
    start: Instant
    """Time of the simulated city at which it began."""
    end: Instant
    speed: float
    """Simulated seconds a real second."""
    drill: bool = True
    """演练: what it raised is marked as simulated."""
    messages: int = 0
    """Published in all."""
    sim_clock: str | None = None
    """How the service's clock followed the scenario; ``None``: it kept real time."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else the player wrote down about the run."""


_FAULT: Final = TypeAdapter(FaultInstance)
_RUN: Final = TypeAdapter(RunInfo)
_RUN_FIELDS: Final = frozenset(RunInfo.__dataclass_fields__) - {"more"}
_AS_RFC3339: Final = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


def write_truth(folder: Path, faults: Iterable[FaultInstance]) -> int:
    """Write ``truth.jsonl`` into the folder of a run and return how many lines it has.

    Raises:
        InvalidInputError: the file cannot be written, or the faults contradict themselves.
    """
    path = folder / TRUTH_FILE
    seen: set[str] = set()
    try:
        with path.open("wb") as file:
            for fault in faults:
                _check(fault, seen, f"{path}, fault {fault.id}")
                file.write(orjson.dumps(fault, option=_AS_RFC3339))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error
    return len(seen)


def read_truth(folder: Path) -> list[FaultInstance]:
    """Read ``truth.jsonl`` from the folder of a run, in its order.

    Raises:
        InvalidInputError: the file cannot be read, or a line is no fault instance; the message names file, line and
            field.
    """
    path = folder / TRUTH_FILE
    faults: list[FaultInstance] = []
    seen: set[str] = set()
    for number, line in enumerate(_read(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            fault = _FAULT.validate_json(line)
        except ValidationError as error:
            raise InvalidInputError(f"{place}: {_sentence(error)}") from error
        _check(fault, seen, place)
        faults.append(fault)
    return faults


def write_run(folder: Path, run: RunInfo) -> None:
    """Write ``run.json`` into the folder of a run.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    path = folder / RUN_FILE
    data = asdict(run)
    more = data.pop("more")
    try:
        path.write_bytes(orjson.dumps(more | data, option=_AS_RFC3339 | orjson.OPT_INDENT_2))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error


def read_run(folder: Path) -> RunInfo:
    """Read ``run.json`` from the folder of a run; fields that are unknown here are kept in ``more``.

    Raises:
        InvalidInputError: the file cannot be read or does not say what was played; the message names the field.
    """
    path = folder / RUN_FILE
    try:
        told = as_object(orjson.loads(_read(path)))
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{path} is no JSON: {error}") from error
    if told is None:
        raise InvalidInputError(f"{path} must hold one JSON object")
    known: dict[str, Any] = {name: value for name, value in told.items() if name in _RUN_FIELDS}
    known["more"] = {name: value for name, value in told.items() if name not in _RUN_FIELDS}
    try:
        run = _RUN.validate_json(orjson.dumps(known), strict=True)
    except ValidationError as error:
        raise InvalidInputError(f"{path}: {_sentence(error)}") from error
    if run.end < run.start:
        raise InvalidInputError(f"{path}: end lies before start")
    return run


def _check(fault: FaultInstance, seen: set[str], place: str) -> None:
    """Refuse what no run can mean.

    Raises:
        InvalidInputError: an id came twice, time runs backwards, or an alert is expected of a device that the fault
            does not touch.
    """
    if fault.id in seen:
        raise InvalidInputError(f"{place}: the id {fault.id} was there before")
    seen.add(fault.id)
    if fault.ends is not None and fault.ends < fault.begins:
        raise InvalidInputError(f"{place}: ends lies before begins")
    touched = {fault.device, *fault.devices}
    for number, expected in enumerate(fault.expect):
        if expected.device not in touched:
            raise InvalidInputError(f"{place}: expect.{number}.device {expected.device} is none of the fault's devices")
        if expected.by < fault.begins:
            raise InvalidInputError(f"{place}: expect.{number}.by lies before begins")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong: field and complaint."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
