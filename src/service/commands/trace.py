"""``streetwarden trace``: where a message is, with the evidence."""

import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from api.models.trace import MOST_WITHIN_S, TraceAnswer
from api.trace_words import sentences
from api.tracing import Question, trace
from devices.catalogue import load_kinds
from domain.errors import InvalidInputError
from ingest.format import DecodeError
from ingest.timestamps import read_text_time
from service.commands.api import api_settings
from service.on_database import on_database
from service.settings import load_settings

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace")(trace_message)


def trace_message(
    topic: Annotated[str, typer.Option("--topic", help="Topic on which it was published.")],
    at: Annotated[str, typer.Option("--at", help="When it was sent, or received: RFC 3339 with its offset.")],
    payload: Annotated[
        Path | None,
        typer.Option(
            "--payload", help="File with its bytes, for an exact answer; - is standard input.", allow_dash=True
        ),
    ] = None,
    within: Annotated[str, typer.Option("--within", help="How far before and after: 90s, 5m, 2h.")] = "60s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say where a message is: stored, duplicate, in quarantine, ignored, or never received, and what tells so."""
    settings = load_settings()
    question = Question(topic, _moment(at), _span(within), None if payload is None else _bytes(payload))
    found = on_database(
        settings, "trace", lambda pool: trace(pool, load_kinds(), api_settings(settings).bounds, question)
    )
    if as_json:
        typer.echo(orjson.dumps(TraceAnswer.of(found).model_dump(mode="json"), option=orjson.OPT_INDENT_2))
        return
    typer.echo(f"{found.verdict}: {sentences(found)[0]}")
    for sentence in sentences(found)[1:]:
        typer.echo(f"  {sentence}")


def _moment(text: str) -> datetime:
    try:
        return read_text_time(text)
    except DecodeError as error:
        raise InvalidInputError(f"--at: {error.detail}") from error


def _span(text: str) -> timedelta:
    match = _SPAN.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else -1.0
    if not 0 <= seconds <= MOST_WITHIN_S:
        raise InvalidInputError(f"--within: {text!r} should be up to a day, such as 90s, 5m or 2h.")
    return timedelta(seconds=seconds)


def _bytes(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"cannot read {file}: {error.strerror}") from error
