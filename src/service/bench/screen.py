"""What the person at the terminal sees while it runs: one bar a phase, on standard error."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


class Bar:
    """One phase."""

    def __init__(self, progress: Progress, title: str, total: float) -> None:
        """Show it at zero."""
        self._progress = progress
        self._task = progress.add_task(title, total=total, note="")

    def show(self, done: float, note: str = "") -> None:
        """Move it; the note stands behind."""
        self._progress.update(self._task, completed=done, note=note)

    def finish(self, note: str) -> None:
        """Fill it, with what came out."""
        total = self._progress.tasks[self._task].total
        self._progress.update(self._task, completed=total, note=note)
        self._progress.stop_task(self._task)


class Screen:
    """The bars of one run."""

    def __init__(self, progress: Progress) -> None:
        """Take the display."""
        self._progress = progress

    @classmethod
    @contextmanager
    def shown(cls) -> Generator[Self]:
        """A screen for the length of the block."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        # Drawing often would show in the figures.
        with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as progress:
            yield cls(progress)

    def bar(self, title: str, total: float = 1.0) -> Bar:
        """Begin a phase."""
        return Bar(self._progress, title, total)
