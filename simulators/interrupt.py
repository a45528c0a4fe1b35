"""Interrupt: Ctrl-C takes effect between two messages, never in the middle of the books."""

import signal
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """Inside it, Ctrl-C is only noted, and :meth:`heed` raises it where nothing is half done.

    Python raises ``KeyboardInterrupt`` between any two instructions: after a message was handed to the connection and
    before it was written down, its acknowledgement would be nobody's. A second Ctrl-C does not wait.
    """

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def heed(self) -> None:
        """Raise what was asked for, once.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since.
        """
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
