"""What ordinary traffic felt of a poisonous source, as a table and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from tests.chaos.poison import Latency, PoisonResult


def poison_table(result: PoisonResult) -> Table:
    """One line a figure, one a check."""
    order = result.order
    made = Table(title=f"Ordinary traffic beside {order.sort.value} ({order.configuration.name})")
    made.add_column("")
    made.add_column("", justify="right")
    for name, value in {
        "ordinary messages acknowledged": f"{result.publisher['acknowledged']:,}",
        "others sent / acknowledged": f"{result.poison_sent:,} / {result.poison_acknowledged:,}",
        "publish to stored without, ms": _shown(result.without),
        "publish to stored beside, ms": _shown(result.beside),
        "furthest behind, s": f"{result.longest_lag_s:.2f}",
        "drained after, s": f"{result.drained_after_s:.0f}",
        "set aside": ", ".join(f"{reason} {count:,}" for reason, count in result.reasons.items()),
    }.items():
        made.add_row(name, value)
    for check in result.checks:
        made.add_row(check.name, "[green]holds[/green]" if check.holds else f"[red]{check.wrong} against it[/red]")
    return made


def poison_data(result: PoisonResult) -> dict[str, Any]:
    """JSON-able form."""
    return {**asdict(result), "checks": [{**asdict(check), "holds": check.holds} for check in result.checks]}


def _shown(latency: Latency | None) -> str:
    return "" if latency is None else f"p50 {latency.p50}, p99 {latency.p99}, most {latency.most}"
