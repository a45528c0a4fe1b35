"""Ten thousand devices fall silent because the broker stopped: one alert about ourselves, and none about them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.catalogue import load_kinds
from devices.own_kind import OWN_KIND
from domain.coverage import Coverage
from domain.instants import to_micros
from ingest.delivery import Delivery
from service.cases import Cases
from service.flow import HEARTBEAT_GAP
from service.known import KnownDevices
from service.ticker import Ticker
from service.watch import Watch
from tests.support.api import StillClock
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import balance, body, topic

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
WORKER = "worker-1"
BEATS = {f"beat/{source}": source for source in ("native", "senml", "chirpstack-v4")}
EVERY = timedelta(seconds=10)
"""Between heartbeats; the service's own come each second, and what matters is less than the gap of an outage."""

VALUES: dict[str, dict[str, float]] = {
    "manhole": {"tilt_deg": 1.0},
    "bin": {"fill_pct": 20.0},
    "streetlight": {"temp_c": 20.0},
    "gas_meter": {"battery_v": 3.6},
}
"""Something each kind says when all is well."""

# As tests.support.registered does it, for many devices at once.
REGISTER = """
WITH wished AS (SELECT * FROM unnest($1::text[], $2::text[]) AS w (name, kind)),
made AS (
    INSERT INTO device (name, kind, district, interval_s, fields, simulated, created_at, updated_at)
    SELECT name, kind, '511703', $3, '{}', true, now(), now() FROM wished RETURNING id, name, kind
), assets AS (
    INSERT INTO asset (name, kind, district, created_at, updated_at)
    SELECT 'asset-' || name, kind, '511703', now(), now() FROM wished RETURNING id, name
), fitted AS (
    INSERT INTO fitting (device_id, asset_id, fitted_from)
    SELECT made.id, assets.id, now() FROM made JOIN assets ON assets.name = 'asset-' || made.name
), states AS (
    INSERT INTO device_state (device_id) SELECT id FROM made
)
INSERT INTO device_alias (source, alias, device_id) SELECT 'native', name, id FROM made
"""
SESSION = "INSERT INTO worker_session (client_id, shared, filters, since) VALUES ($1, true, '{}', $2)"
ALERTS = """
SELECT d.name, a.rule, a.state, a.onset, a.fired_at, a.cleared_at
  FROM alert AS a JOIN device AS d ON d.id = a.device_id ORDER BY d.name, a.rule
"""

Device = tuple[str, str]
"""Name and kind."""


def fleet(count: int) -> list[Device]:
    """Devices of every kind in turn."""
    kinds = list(VALUES)
    return [(f"D-{number:05}", kinds[number % len(kinds)]) for number in range(count)]


def waits(interval_s: float | None = None) -> dict[str, timedelta]:
    """How long each kind may be silent before its offline rule fires."""
    return {
        kind.key: timedelta(seconds=max(rule.condition.silence_intervals or 0.0 for rule in kind.rules) * interval)
        for kind in load_kinds().values()
        for interval in (interval_s or kind.interval_s,)
    }


class City:
    """The ingest's parts on a clock that the test moves: what comes is settled, and then the clock is asked."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.clock = StillClock(START)
        self._tokens = iter(range(1, 1_000_000))

    async def open(self, devices: Sequence[Device], interval_s: float | None = None) -> None:
        names, kinds = zip(*devices, strict=True)
        await self.pool.execute(REGISTER, names, kinds, interval_s)
        await self.pool.execute(SESSION, WORKER, START)
        self.flow = await flow_on(self.pool, WORKER, self.clock, BEATS)
        found = load_kinds()
        cases = Cases(ZONE)
        rules = [rule for kind in (*found.values(), OWN_KIND) for rule in kind.rules]
        await cases.start(self.pool, rules, START)
        self.ticker = Ticker(self.pool, KnownDevices(found), cases, LATE_BOUND)
        self.watch = Watch(self.pool, self.clock, cases, WORKER, HEARTBEAT_GAP)

    async def beat_until(self, until: datetime) -> None:
        """Heartbeats of every source up to a time, without a break; the clock is then there."""
        times = [self.clock.time]
        while times[-1] < until:
            times.append(min(times[-1] + EVERY, until))
        self.clock.time = until
        await self._settle(beat(source, at) for at in times for source in BEATS)

    async def beat(self) -> None:
        """The heartbeats of this moment."""
        await self._settle(beat(source, self.clock.time) for source in BEATS)

    async def report(self, devices: Sequence[Device]) -> None:
        """Each says now that all is well, a thousand to a batch, as a worker takes them."""
        now = self.clock.time
        for first in range(0, len(devices), 1000):
            await self._settle(
                Delivery(
                    topic(name, kind), body(now, None, **VALUES[kind]), now, place + 1, redelivered=False, generation=1
                )
                for place, (name, kind) in enumerate(devices[first : first + 1000])
            )

    async def _settle(self, batch: Iterable[Delivery]) -> None:
        await self.flow.settle(list(batch), next(self._tokens))

    async def look(self, *, deaf: bool = False) -> int:
        """Let the clock decide until nothing is due, and look at ourselves; return how many devices were looked at."""
        looked = 0
        while found := await self.ticker.look(self.clock.time, self.flow.coverage):
            looked += found
        await self.watch.look(deaf=deaf)
        return looked

    async def alerts(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.pool.fetch(ALERTS)]


def beat(source_topic: str, at: datetime) -> Delivery:
    return Delivery(source_topic, str(to_micros(at)).encode(), at, 0, redelivered=False, generation=1)


async def test_a_broker_that_stopped_makes_one_alert_however_many_devices_it_silenced(pool: Any) -> None:
    devices, city = fleet(10_000), City(pool)
    await city.open(devices)
    await city.beat()
    await city.report(devices)
    last = START + timedelta(minutes=1)
    await city.beat_until(last)
    counts = await balance(pool)
    assert (counts["accepted"], counts["stored"], counts["quarantined"]) == (10_000, 10_000, 0)
    assert await pool.fetchval("SELECT count(*) FROM device_timer WHERE silence_due IS NOT NULL") == 10_000

    # The broker stops. The clock goes on past the wait of every rule, and nobody is judged in the dark.
    longest = max(waits().values())
    assert min(waits().values()) > timedelta(minutes=2)
    dark = [*waits().values(), longest + timedelta(hours=1), longest + timedelta(days=1)]
    for passed in sorted(dark):
        city.clock.time = last + passed + timedelta(minutes=1)
        await city.look(deaf=True)
    # Not even when a look at each is asked for, as a change of the registry does.
    await pool.execute("UPDATE device_timer SET silence_due = $1", last)
    assert await city.look(deaf=True) == 10_000
    [(_, rule, state, onset, fired_at, _)] = await city.alerts()
    assert (rule, state, onset, fired_at) == ("ingest.outage", "firing", last, last + HEARTBEAT_GAP)

    # It is back: at this moment every device has been silent for longer than its rule allows.
    back = city.clock.time = last + longest + timedelta(days=2)
    await city.beat()
    assert city.flow.coverage == {source: Coverage(back, back) for source in BEATS.values()}
    assert await city.look() == 10_000, "each was due, and was looked at"
    await city.beat_until(back + timedelta(minutes=1))
    await city.look()
    [(_, rule, state, onset, fired_at, cleared_at)] = await city.alerts()
    assert (rule, state, onset, fired_at) == ("ingest.outage", "cleared", last, last + HEARTBEAT_GAP)
    assert cleared_at == back
    assert (
        await pool.fetchval("SELECT count(*) FROM outage WHERE reported AND began = $1 AND ended = $2", last, back) == 3
    )

    # They report again within their wait, and the moment at which the first would have been missed passes.
    await city.report(devices)
    await city.beat_until(back + min(waits().values()) + timedelta(seconds=30))
    await city.look()
    assert len(await city.alerts()) == 1
    assert await pool.fetchval("SELECT count(*) FROM ticket") == 0


async def test_devices_that_fall_silent_while_heartbeats_go_on_are_told_each_at_its_time(pool: Any) -> None:
    """The same way, the same look: here the devices are silent and we are not deaf."""
    devices, city = fleet(600), City(pool)
    gone, there = devices[:300], devices[300:]
    wait = waits(60.0)
    await city.open(devices, 60.0)
    await city.beat()
    await city.report(devices)
    for minute in range(1, 9):
        await city.beat_until(START + timedelta(minutes=minute))
        await city.report(there)
        await city.look()
    assert max(wait.values()) < timedelta(minutes=8)
    assert await city.alerts() == [
        (name, f"{kind}.offline", "firing", START + wait[kind], START + wait[kind], None) for name, kind in gone
    ]
    assert await pool.fetchval("SELECT count(*) FROM outage") == 0


async def test_what_was_silent_before_the_broker_stopped_and_what_stays_silent_after_it_is_told(pool: Any) -> None:
    """An outage forgives nobody for good: it only starts the wait anew."""
    devices, city = fleet(400), City(pool)
    before, after, there = devices[:100], devices[100:200], devices[200:]
    wait = waits(60.0)
    await city.open(devices, 60.0)
    await city.beat()
    await city.report(devices)
    for minute in range(1, 9):
        await city.beat_until(START + timedelta(minutes=minute))
        await city.report([*after, *there])
        await city.look()
    back = city.clock.time = START + timedelta(days=1)
    await city.beat()
    await city.look()
    for minute in range(1, 9):
        await city.beat_until(back + timedelta(minutes=minute))
        await city.report(there)
        await city.look()
    told = await city.alerts()
    assert [alert[:4] for alert in told if alert[1] != "ingest.outage"] == [
        (name, f"{kind}.offline", "firing", since + wait[kind])
        for since, silent in ((START, before), (back, after))
        for name, kind in silent
    ]
    last = START + timedelta(minutes=8)
    assert [alert[1:] for alert in told if alert[1] == "ingest.outage"] == [
        ("ingest.outage", "cleared", last, last + HEARTBEAT_GAP, back)
    ]
