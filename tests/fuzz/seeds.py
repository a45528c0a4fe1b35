"""Where the fuzzers begin: what our formats write, the documents' examples, and real captures where at hand."""

import json
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from devices.catalogue import load_kinds
from domain.reading import Reading
from ingest.format import Sender
from tests.fuzz.way import FORMATS, NOW
from tests.support.documents import fences

CAPTURES: Final = Path(__file__).resolve().parents[3] / "shared" / "corpus"
"""Beside this checkout, where they are kept; a fuzzer without them begins with the rest."""

_EUI: Final = "24e1240000000001"
_TOPICS: Final = {
    "native": [
        "city/v1/511703/manhole/MH-1/telemetry",
        "city/v1/511703/manhole/MH-1/event",
        "city/v1/511703/manhole/MH-1/status",
        "city/v1/511703/manhole/MH-1/reply",
        "city/v1/511703/manhole/MH-1/heartbeat",
    ],
    "senml": ["senml/511703/MH-1", "senml", "senml/heartbeat/worker"],
    "chirpstack_v4": [
        f"application/a/device/{_EUI}/event/{leaf}" for leaf in ("up", "status", "join", "ack", "location", "log")
    ],
}


def topics_of(form: str) -> list[str]:
    """Topics of a format, so that the bytes reach its decoder; a format that is not listed: what its encoder writes."""
    return _TOPICS.get(form) or [_encoded(form)[0][0]]


@cache
def payloads_of(form: str) -> tuple[bytes, ...]:
    """Payloads to begin with."""
    own = [payload for _, payload in _encoded(form)]
    told = [body.encode() for _, called, body in fences("docs/mqtt.md") if FORMATS[form].read_topic(called)]
    return (*own, *told, *_captured(form))


def _encoded(form: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for kind in load_kinds().values():
        values = {measure.name: measure.rest for measure in kind.measures}
        reading = Reading(1, NOW - timedelta(seconds=9), NOW, values, {}, 0, b"{}", 17, None)
        found.append(FORMATS[form].encode(Sender("MH-1", kind.key, "511703", _alias(form)), [reading]))
    return found


def _alias(form: str) -> str:
    return {"senml": f"urn:dev:mac:{_EUI}", "native": "MH-1"}.get(form, _EUI)


def _captured(form: str) -> list[bytes]:
    """Real envelopes for every format (a wrong one's are good, too), and the packs of RFC 8428 for SenML."""
    found: list[bytes] = []
    if (envelopes := CAPTURES / "envelopes.json").is_file():
        captures: list[dict[str, Any]] = json.loads(envelopes.read_text(encoding="utf-8"))
        found += [orjson.dumps(one["payload"]) for one in captures]
    if form == "senml" and (vectors := CAPTURES / "senml.json").is_file():
        packs: list[dict[str, Any]] = json.loads(vectors.read_text(encoding="utf-8"))
        found += [orjson.dumps(one["pack"]) for one in packs if "pack" in one]
    return found


@cache
def words_of(form: str) -> tuple[str, ...]:
    """The vocabulary: every key and short text that the seeds hold, for building JSON of the right words."""
    quoted = re.compile(rb'"([^"\\]{1,24})"')
    return tuple(sorted({match.decode() for payload in payloads_of(form) for match in quoted.findall(payload)}))
