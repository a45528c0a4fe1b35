"""Drained: N messages wait at the broker, then whoever receives them works as fast as it can."""

import time
from dataclasses import dataclass
from typing import Any, Final

from service.bench.meter import Usage, usage
from service.bench.screen import Bar, Screen
from service.bench.world import World, now, read_figures
from service.failures import NotReadyError
from store.bench_views import Batch

_POLL_S: Final = 0.05
_STANDSTILL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What the drained phase found."""

    messages_per_second: float
    """From the first commit to the last."""
    cpu_us_per_message: dict[str, float]
    others_processors: float
    """Processors that programs which are not ours took meanwhile."""
    batches: list[int]
    """Messages of each transaction."""


def publish_waiting(world: World, count: int, bar: Bar, *, first_seq: int) -> dict[str, Any]:
    """Publish into the sessions that wait; return the load generator's own figures."""
    out = world.folder / "load.json"
    command = ("simulators.load", "--registry", str(world.registry), "--count", str(count), "--json", str(out))
    with world.beside("load", *command, "--first-seq", str(first_seq)) as child:
        world.await_end(child)
    figures = read_figures(out)
    if figures["acknowledged"] != count:
        raise NotReadyError(f"the broker acknowledged {figures['acknowledged']} of {count} messages")
    bar.show(0.5, f"published at {figures['messages_per_second']:,.0f}/s")
    return figures


def measure_paho_alone(world: World, count: int, screen: Screen) -> dict[str, Any]:
    """Receive and throw away what waits, with paho and nothing else."""
    bar = screen.bar("paho alone")
    protocol = ("--protocol", world.protocol.value)
    world.finish("paho", "ingest.paho_alone", "prepare", *protocol)
    publish_waiting(world, count, bar, first_seq=1)
    out = world.folder / "paho.json"
    world.finish("paho", "ingest.paho_alone", "receive", *protocol, "--count", str(count), "--json", str(out))
    figures = read_figures(out)
    bar.finish(f"{figures['messages_per_second']:,.0f} msg/s")
    return figures


def measure_drained(world: World, count: int, screen: Screen, *, first_seq: int) -> tuple[Drained, dict[str, Any]]:
    """Settle what waits, with the real ingest; leaves it running. Also return the load generator's own figures."""
    bar = screen.bar("drained")
    began = now()
    world.start_ingest()
    world.wait_subscribed(began)
    world.stop_ingest()
    before = world.database.outcomes().settled
    since = now()
    load = publish_waiting(world, count, bar, first_seq=first_seq)
    until = now()
    world.start_ingest()
    used, messages, seconds = _watch_drain(world, before, count, bar)
    world.wait_settled(before + count)
    batches = world.database.batches(since, until)
    drained = Drained(
        _rate(batches),
        used.per_message_us(messages),
        round(used.others_s / max(seconds, 1e-9), 2),
        [batch.messages for batch in batches],
    )
    bar.finish(f"{drained.messages_per_second:,.0f} msg/s")
    return drained, load


def _watch_drain(world: World, before: int, count: int, bar: Bar) -> tuple[Usage, int, float]:
    """CPU time between the first commit seen and the last, the messages settled in between, and the seconds."""
    first: tuple[Usage, int, float] | None = None
    settled, seen, moved = 0, 0, time.monotonic()
    while settled < count:
        time.sleep(_POLL_S)
        world.check()
        settled = world.database.outcomes().settled - before
        if settled != seen:
            seen, moved = settled, time.monotonic()
        elif time.monotonic() - moved > _STANDSTILL_S:
            raise NotReadyError(f"ingest stands still: {settled} of {count} messages are settled.")
        if first is None and settled:
            first = usage(world.pids), settled, time.monotonic()
        bar.show(0.5 + 0.5 * settled / count, f"{settled:,} settled")
    assert first is not None
    then, at_first, started = first
    # Everything in one look: so few messages say nothing about the cost of one.
    return usage(world.pids).since(then), settled - at_first, time.monotonic() - started


def _rate(batches: list[Batch]) -> float:
    """Messages a second after the first commit, whose own messages were worked on before it."""
    if len(batches) < 2:  # noqa: PLR2004 - two commits make a stretch of time
        raise NotReadyError("Everything fitted into one transaction: measure with more --messages.")
    seconds = (batches[-1].committed_at - batches[0].committed_at).total_seconds()
    return round(sum(batch.messages for batch in batches[1:]) / max(seconds, 1e-6), 1)


def spread(values: list[int]) -> dict[str, int]:
    """Median, ninth decile and largest."""
    ordered = sorted(values) or [0]
    return {
        "p50": ordered[len(ordered) // 2],
        "p90": ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)],
        "max": ordered[-1],
    }
