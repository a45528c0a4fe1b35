"""``python -m tests.fuzz --minutes 10``: each format by raw bytes and by JSON of its own words; a table at the end."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from ingest.catalogue import load_formats

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "build" / "fuzz"
_LONGEST: Final = 70_000
"""Bytes of an input: a message may have 65,536."""
_RUNS: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_COVERED: Final = re.compile(r"cov: (\d+)")
_GRACE_S: Final = 120

console: Final = Console()


class Found(NamedTuple):
    """What one fuzzer did."""

    executions: int
    covered: int
    finding: str
    """The last words of one that found something; empty: nothing."""


def fuzz(
    minutes: Annotated[float, typer.Option(min=0.1, help="Over all fuzzers together.")] = 10.0,
    only: Annotated[str | None, typer.Option(help="One format alone.")] = None,
) -> None:
    """Send what no publisher would to every format and to normalising; any exception but DecodeError is a finding."""
    probe = subprocess.run([sys.executable, "-c", "import atheris"], capture_output=True, check=False)
    if probe.returncode:
        console.print("atheris is not installed: .venv/bin/pip install -e '.[dev,fuzz]'")
        raise typer.Exit(78)
    targets = [(name, sort) for name in load_formats() if only in {None, name} for sort in ("raw", "shaped")]
    table = Table(title=f"{minutes:g} minutes of fuzzing")
    for heading in ("format", "input", "executions", "edges covered", "finding"):
        table.add_column(heading)
    found: list[Found] = []
    for name, sort in targets:
        with console.status(f"{name}, {sort}"):
            one = _run(name, sort, minutes * 60 / len(targets))
        found.append(one)
        table.add_row(name, sort, f"{one.executions:,}", f"{one.covered:,}", one.finding or "none")
    console.print(table)
    console.print(
        f"{sum(one.executions for one in found):,} executions, {sum(bool(one.finding) for one in found)} findings"
    )
    raise typer.Exit(1 if any(one.finding for one in found) else 0)


def _run(name: str, sort: str, seconds: float) -> Found:
    folder = FOLDER / f"{name}-{sort}"
    folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={max(1, round(seconds))}", f"-max_len={_LONGEST}", "-print_final_stats=1"]
    options += [f"-artifact_prefix={folder}-", "-timeout=10", "-rss_limit_mb=2048"]
    command = [sys.executable, "-m", "tests.fuzz.one", name, sort, str(folder), *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False, timeout=seconds + _GRACE_S
    )
    output = done.stdout + done.stderr
    runs, covered = _RUNS.findall(output), _COVERED.findall(output)
    finding = ""
    if done.returncode:
        (FOLDER / f"{name}-{sort}.log").write_text(output, encoding="utf-8")
        words = [line for line in output.splitlines() if re.match(r"\w*(Error|Exception)\b|==\d+== ?ERROR", line)]
        finding = f"{words[0] if words else f'exit code {done.returncode}'} (build/fuzz/{name}-{sort}.log)"
    return Found(int(runs[-1]) if runs else 0, int(covered[-1]) if covered else 0, finding)


if __name__ == "__main__":
    typer.run(fuzz)
