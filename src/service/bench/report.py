"""The figures of a run: as the JSON that others read, and as the table at the end."""

from typing import Any

from rich.console import Console
from rich.table import Table

from service.bench.drained import Drained, spread
from service.bench.paced import Paced
from service.bench.world import World

_SHARES = (0.5, 0.99)


def figures_of(
    world: World, devices: int, messages: int, paho: dict[str, Any], load: dict[str, Any], drained: Drained
) -> dict[str, Any]:
    """What the drained phase found; the paced one adds to it."""
    return {
        "broker": world.broker.value,
        "devices": devices,
        "messages": messages,
        "values_per_message": 4,
        "messages_per_second": drained.messages_per_second,
        "paho_alone_messages_per_second": paho["messages_per_second"],
        "share_of_paho_alone": round(drained.messages_per_second / paho["messages_per_second"], 3),
        "cpu_us_per_message": {
            **drained.cpu_us_per_message,
            "load": load["cpu_us_per_message"],
            "paho_alone": paho["cpu_us_per_message"],
        },
        "batch_messages": spread(drained.batches),
        "published_messages_per_second": load["messages_per_second"],
        "others_processors": {"drained": drained.others_processors},
    }


def add_paced(figures: dict[str, Any], world: World, best: Paced | None, tries: list[Paced]) -> None:
    """What the paced phase found: of the highest rate held, else of the last one tried."""
    shown = best or tries[-1]
    p50, p99 = world.database.commit_latency_ms(shown.since, shown.until, _SHARES) or (None, None)
    batches = world.database.batches(shown.since, shown.until)
    figures["paced_messages_per_second"] = best.rate if best else 0.0
    figures["paced_seconds"] = shown.seconds
    figures["paced_backlog_s"] = shown.backlog_s
    figures["publish_to_commit_ms"] = {"p50": _rounded(p50), "p99": _rounded(p99)}
    figures["paced_cpu_us_per_message"] = shown.cpu_us_per_message
    figures["paced_batch_messages"] = spread([batch.messages for batch in batches])
    figures["memory_mib"] = {
        name: {"start": start, "end": shown.memory_end.get(name, 0.0)} for name, start in shown.memory_start.items()
    }
    figures["others_processors"]["paced"] = shown.others_processors
    figures["tries"] = [
        {
            "rate": tried.rate,
            "seconds": tried.seconds,
            "held": tried.held,
            "why_not": tried.why_not,
            "backlog_s": tried.backlog_s,
        }
        for tried in tries
    ]


def print_figures(figures: dict[str, Any]) -> None:
    """The table."""
    table = Table(title=f"streetwarden bench ingest, broker {figures['broker']}", show_header=False)
    memory = {name: f"{span['start']:.0f} → {span['end']:.0f}" for name, span in figures["memory_mib"].items()}
    held = f"{figures['paced_messages_per_second']:,.0f} for {figures['paced_seconds']:.0f} s"
    latency = figures["publish_to_commit_ms"]
    rows = {
        "drained, msg/s": f"{figures['messages_per_second']:,.0f} (of {figures['messages']:,})",
        "paho alone, msg/s": f"{figures['paho_alone_messages_per_second']:,.0f}",
        "drained of paho alone": f"{figures['share_of_paho_alone']:.2f}",
        "paced and held, msg/s": f"{held}, backlog ≤ {figures['paced_backlog_s']:.2f} s",
        "publish to commit, ms": f"p50 {latency['p50']}, p99 {latency['p99']}",
        "CPU µs a message, drained": _listed(figures["cpu_us_per_message"]),
        "CPU µs a message, paced": _listed(figures["paced_cpu_us_per_message"]),
        "batch, drained": _listed(figures["batch_messages"]),
        "batch, paced": _listed(figures["paced_batch_messages"]),
        "memory MiB, paced": _listed(memory),
        "processors others took": _listed(figures["others_processors"]),
    }
    rows["messages"] = _listed(figures["outcomes"])
    rows |= {f"{part} settings": _listed(values) for part, values in figures["settings"].items()}
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


def _listed(values: dict[str, Any]) -> str:
    return "\n".join(f"{name} {value}" for name, value in values.items())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
