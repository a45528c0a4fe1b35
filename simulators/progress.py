"""Progress bars on standard error, for what takes longer than a moment."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(title: str, total: float, *, quiet: bool) -> Generator[Callable[[float, str], None]]:
    """Show a bar; what it yields is told how far it came, and a few words beside it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[beside]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, refresh_per_second=5) as bar:
        task = bar.add_task(title, total=total, beside="")

        def tell(completed: float, beside: str = "") -> None:
            bar.update(task, completed=completed, beside=beside)

        yield tell
