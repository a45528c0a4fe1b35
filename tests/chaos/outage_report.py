"""What an outage showed, as a table and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from tests.chaos.outages import OutageResult


def outage_table(result: OutageResult) -> Table:
    """One line a figure, one a check."""
    order = result.order
    made = Table(title=f"{order.away.value} away for {order.away_s:.0f} s ({order.configuration.name})")
    made.add_column("")
    made.add_column("", justify="right")
    before, most = result.memory_mib()
    told = result.publisher
    for name, value in {
        "acknowledged": f"{told['acknowledged']:,}",
        "acknowledged a second": f"{told['acknowledged'] / told['seconds']:,.0f}",
        "resident before / most meanwhile, MiB": f"{before:.0f} / {most:.0f}",
        "behind when it was back, messages": f"{result.behind:,}",
        "caught up after, s": f"{result.caught_up_after_s:.1f}",
        "connections to the broker lost": str(result.broker_lost),
        "outages recorded": str(len(result.outages)),
        "outage alerts": "no such rule" if result.outage_alerts is None else str(result.outage_alerts),
        "upheld alerts / undisturbed": f"{result.alerts['upheld']:,} / {result.alerts['undisturbed']:,}",
    }.items():
        made.add_row(name, value)
    for check in result.checks:
        made.add_row(check.name, "[green]holds[/green]" if check.holds else f"[red]{check.wrong} against it[/red]")
    return made


def outage_data(result: OutageResult) -> dict[str, Any]:
    """JSON-able form, the samples included."""
    data = asdict(result)
    data["checks"] = [{**asdict(check), "holds": check.holds} for check in result.checks]
    before, most = result.memory_mib()
    return {**data, "resident_before_mib": before, "resident_most_mib": most}
