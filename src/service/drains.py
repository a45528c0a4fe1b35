"""Drains: what sessions beyond the workers that shall be still hold is worked off, and the sessions are ended.

A broker keeps the messages of a session for that session: mosquitto never hands them to another member of the group.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from service.member_processes import end, how_it_ended, start_own
from service.settings import Settings
from store.connection import Pool
from store.failures import Failure, failure_of
from store.worker_sessions import list_sessions, mark_draining

_LOOK_EVERY_S: Final = 0.5
_AGAIN_FIRST_S: Final = 5.0
_AGAIN_MOST_S: Final = 60.0

log = structlog.get_logger()


def is_leftover(client_id: str, settings: Settings) -> bool:
    """Whether a session is one of ours that no worker of the present number has; others' are none of our business."""
    ours = re.fullmatch(rf"{re.escape(settings.client_id)}(-[0-9]+)?", client_id)
    return ours is not None and client_id not in settings.worker_ids


async def drain_leftovers(settings: Settings, pool: Pool, taken_over: Callable[[], Awaitable[bool]]) -> None:
    """Drain them one after the other, once the present workers stand: what comes from then on comes to those."""
    pause = _AGAIN_FIRST_S
    while True:
        try:
            sessions = [one.client_id for one in await list_sessions(pool) if is_leftover(one.client_id, settings)]
            if not sessions:
                return
            await mark_draining(pool, sessions)
            if not await taken_over():
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
        except Exception as error:
            if failure_of(error) is not Failure.TRY_AGAIN:
                raise
            log.warning("drain_again", error=str(error), pause_s=pause)
        else:
            code = await _drain(sessions[0])
            if code == 0:
                pause = _AGAIN_FIRST_S
                continue
            log.error("drain_again", client_id=sessions[0], how=how_it_ended(code), pause_s=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _AGAIN_MOST_S)


async def _drain(client_id: str) -> int:
    """Drain one session in a process of its own; return its exit code."""
    process = await start_own("ingest", "drain", "--client-id", client_id)
    try:
        return await process.wait()
    finally:
        await end(process)
