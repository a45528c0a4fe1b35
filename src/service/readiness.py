"""Readiness: whether the ingest workers of this machine do their work, told by files that they write themselves.

By files, because the database may be what is missing, and an orchestrator must be told so all the same.
"""

import time
from pathlib import Path
from typing import Any, Final

import orjson

from service.settings import Settings

_FRESH_S: Final = 20.0
"""A status older than this was left by a worker that is dead or stuck; one is written every two seconds."""
_HEARD_S: Final = 60.0
"""Heartbeats that came back longer ago count as not heard, as for the ready endpoint of the API."""


def status_file(folder: Path, client_id: str) -> Path:
    """Where a worker writes how it is."""
    return folder / f"{client_id}.json"


def why_not_ready(settings: Settings) -> str | None:
    """One sentence about the first worker that does not do its work; ``None`` if all do."""
    for client_id in settings.worker_ids:
        why = _why_not(status_file(settings.ingest_folder, client_id))
        if why is not None:
            return f"Ingest worker {client_id} is not ready: {why}."
    return None


def _why_not(status: Path) -> str | None:
    try:
        age_s = time.time() - status.stat().st_mtime
        told: Any = orjson.loads(status.read_bytes())
        connected, database, heard_s = told["connected"], told["database"], told["heard_s"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return f"it does not run, or has not written {status} yet"
    if age_s > _FRESH_S:
        return f"it last said {age_s:.0f} s ago how it is"
    if not database:
        return "the database does not answer"
    if not connected:
        return "the broker does not answer"
    if heard_s is None or heard_s > _HEARD_S:
        return "its heartbeats do not come back through the broker and into the database"
    return None
