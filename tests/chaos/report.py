"""What a run found: a line while it goes on, a table at its end, JSON for whoever compares."""

import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import psutil
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.checks import Check
from tests.chaos.kills import Progress, Result

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "build" / "chaos"
_IDS_SHOWN: Final = 10


def bar(console: Console) -> Bar:
    """A line that tells where a run stands."""
    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        console=console,
    )


def line(progress: Progress, kills: int) -> str:
    """The line's text."""
    settled = "" if progress.settled < 0 else f", settled {progress.settled:,}"
    return (
        f"{progress.stage}: kills {progress.kills}/{kills}, published {progress.published:,}, "
        f"acknowledged {progress.acknowledged:,}{settled}"
    )


def table(results: list[Result]) -> Table:
    """One column a configuration."""
    made = Table(title="Kills under load", show_lines=False)
    made.add_column("")
    for result in results:
        made.add_column(result.order.configuration.name, justify="right")
    for name in _rows(results[0]):
        made.add_row(name, *(_rows(result)[name] for result in results))
    for name in dict.fromkeys(check.name for result in results for check in result.checks):
        made.add_row(name, *(_verdict(result, name) for result in results))
    return made


def _rows(result: Result) -> dict[str, str]:
    told = result.publisher
    by_victim = ", ".join(f"{name} {count}" for name, count in sorted(result.kills_by_victim().items()))
    return {
        "seed": str(result.order.seed),
        "workers": str(result.order.configuration.workers),
        "kills": f"{len(result.blows)} ({by_victim})",
        "published": f"{told['sent']:,}",
        "acknowledged": f"{told['acknowledged']:,}",
        "acknowledged a second": f"{result.messages_per_second:,.0f}",
        "sent again by the publisher": f"{told['resent']:,}",
        "acknowledged for nobody (none)": f"{told['unheard']:,}",
        "stored": f"{result.ledger['rows']:,}",
        "acknowledged and lost": f"{result.lost:,}",
        "found twice, stored once": f"{result.ledger['duplicate'] + result.ledger['redelivered']:,}",
        "upheld alerts / undisturbed": f"{result.alerts.get('upheld', 0):,} / {result.alerts.get('undisturbed', 0):,}",
        "tickets": f"{result.tickets:,}",
        "drained after, s": f"{result.drained_after_s:.0f}",
    }


def _verdict(result: Result, name: str) -> str:
    for check in result.checks:
        if check.name == name:
            return "[green]holds[/green]" if check.holds else f"[red]{check.wrong} against it[/red]"
    return "not asked"


def violations(console: Console, where: str, wrong: list[Check]) -> None:
    """Name everything that does not hold."""
    for check in wrong:
        console.print(f"[red]{where}: {check.name}: {check.wrong} against it[/red] {check.detail}", highlight=False)
        for one in check.ids[:_IDS_SHOWN]:
            console.print(f"  {one}", highlight=False, markup=False)
        if check.wrong > _IDS_SHOWN:
            console.print(f"  … and {check.wrong - _IDS_SHOWN} more", highlight=False)


def as_data(result: Result) -> dict[str, Any]:
    """JSON-able form, everything in it."""
    return {
        "configuration": asdict(result.order.configuration),
        "kills": len(result.blows),
        "seed": result.order.seed,
        "rate": result.order.rate,
        "devices": result.order.devices,
        "longest_pause_s": result.order.longest_pause_s,
        "by_victim": result.kills_by_victim(),
        "publisher": result.publisher,
        "acknowledged_a_second": round(result.messages_per_second, 1),
        "ledger": result.ledger,
        "alerts": result.alerts,
        "tickets": result.tickets,
        "lost": result.lost,
        "drained_after_s": result.drained_after_s,
        "checks": [{**asdict(check), "holds": check.holds} for check in result.checks],
        "own_ends": [asdict(end) for end in result.own_ends],
        "blows": [blow._asdict() for blow in result.blows],
    }


def write(name: str, data: object) -> Path:
    """Write JSON below ``build/chaos``, with the machine and the version it was measured on."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    whole = {"at": datetime.now(UTC).isoformat(), "machine": _machine(), "commit": _commit(), "result": data}
    path.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    return path


def _machine() -> dict[str, object]:
    return {
        "processors": psutil.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
