"""Our own ingest processes: one child each, tied to our life, its log lines among ours."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Final

from service.children import tethered

_STOP_WITHIN_S: Final = 15.0
"""Less than what ``streetwarden run`` and a container grant to all of ingest."""


async def start_own(*words: str) -> asyncio.subprocess.Process:
    """Start ``streetwarden <words>`` with our own environment."""
    command = tethered((sys.executable, "-m", "service", *words), None, signal.SIGTERM)
    # A session of its own: Ctrl-C reaches us alone, and we end the children.
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, env=dict(os.environ), start_new_session=True
    )


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, and kill it when it takes longer than its time limit."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def how_it_ended(code: int) -> str:
    """For people."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
