"""The programs of one ``streetwarden run``: started in order, watched, stopped in reverse."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from service.children import Child, Program, start

_LOG_BYTES: Final = 16 * 1024 * 1024
"""A log file that has grown beyond this is copied to ``.1`` and emptied: at most twice this much a program."""
_ROTATE_EVERY_S: Final = 30.0
_TICK_S: Final = 0.1


class Supervisor:
    """Leaving the context stops every program, the last started first.

    SIGINT, SIGTERM and SIGHUP ask it to stop; asking again changes nothing, since each program has its time limit.
    """

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._asked_to_stop = False
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            child.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked us to stop."""
        return self._asked_to_stop

    def start(self, program: Program) -> Child:
        """Start a program and wait until it is ready, or until somebody asks us to stop."""
        child = start(program)
        self._children.append(child)
        child.wait_ready(lambda: self._asked_to_stop)
        return child

    def check(self) -> None:
        """Raise the sentence about the first program that has ended by itself."""
        for child in self._children:
            child.require_alive()

    def watch(self) -> None:
        """Return when asked to stop; raise when a program ends by itself."""
        rotated = time.monotonic()
        while not self._asked_to_stop:
            self.check()
            if time.monotonic() - rotated > _ROTATE_EVERY_S:
                rotated = time.monotonic()
                for child in self._children:
                    keep_short(child.program.log_file)
            time.sleep(_TICK_S)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True


def keep_short(log: Path, limit: int = _LOG_BYTES) -> None:
    """Copy a long log to ``.1`` and empty it; the program goes on writing to the same open file."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)
