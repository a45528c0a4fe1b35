"""READ THIS FIRST: the way of a message, one step a line. What one batch does, and in which order.

One batch is one transaction. Only when it has committed are its messages acknowledged (``service.worker``), so a crash
anywhere brings them again, and settling them again changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.alert import Transition
from domain.clock import Clock
from domain.coverage import Coverage, OutageCause, Stretches, heard_by_all
from domain.instants import from_micros
from domain.ledger import Outcome
from ingest.delivery import Delivery
from ingest.router import Router
from service.accounts import settle_accounts
from service.cases import Cases
from service.clocks import sample_clocks
from service.day_book import DayBook
from service.event_rules import judge_events
from service.known import Known, KnownDevices
from service.late import rejudge_late
from service.parcel import Parcel
from service.setting_aside import quarantine
from service.stream import Stream, judge_stream, settle_doubtful, sort_out
from service.told import settle_told
from service.understand import Bounds, aliases_of, decode_all, identify_all
from store.clocks import add_clock_samples
from store.connection import Executor, Pool
from store.first_times import FirstTime, delivery_digest, recall_first_times, remember_first_times
from store.ledger import add_tallies, load_coverage, record_outages, save_coverage, token_under_lock, write_token
from store.ledger_devices import Double, add_device_days, record_doubles
from store.readings import Partitions, copy_readings, insert_readings
from store.states import DeviceState, lock_states, save_states
from store.timers import Timer, bring_forward
from store.worker_sessions import load_others

HEARTBEAT_GAP = timedelta(seconds=15)
"""Without a heartbeat for so long, nothing could reach us: an outage, and coverage begins anew. Fifteen beats of one
second: a busy minute delays heartbeats, an outage loses them. A simulated clock stretches it by its speed."""

_HEARTBEAT_DIGITS = 17
"""Microseconds since 1970 have 16 today; what is longer is nobody's heartbeat."""


@dataclass(frozen=True, slots=True)
class FlowParts:
    """What the way of a message runs on."""

    pool: Pool
    clock: Clock
    router: Router
    known: KnownDevices
    cases: Cases
    bounds: Bounds
    worker: str
    """Client id: the name under which this worker keeps its accounts."""
    heartbeats: Mapping[str, str]
    """Heartbeat topic → source."""
    zone: ZoneInfo
    """The district's, for the date in case numbers."""
    late_bound: timedelta
    """A reading older than this when it comes is stored, and changes nothing that was decided."""
    heartbeat_gap: timedelta = HEARTBEAT_GAP
    """The same in the time of the clock: a scenario's runs faster than the heartbeats come."""


class Flow:
    """Settles batches. Keeps nothing that a crash could lose: coverage and partitions are read back."""

    def __init__(self, parts: FlowParts) -> None:
        """Take the parts; ``start`` before the first batch."""
        self._parts = parts
        self._partitions = Partitions()
        self.heard = False
        """Whether a heartbeat of this process came back: everything that waited at the broker before it is settled."""
        self.coverage: dict[str, Coverage] = {}
        """Source → the stretch over which it was heard, as last committed."""
        self.others: Mapping[str, Stretches] = {}
        """The other workers' as of the last tick: a device's messages are spread over the sessions of all."""

    async def start(self) -> None:
        """Read back how far each source was heard."""
        async with self._parts.pool.acquire() as connection:
            self.coverage = await load_coverage(connection, self._parts.worker)
        await self.hear_of_others()

    def behind(self, now: datetime) -> timedelta:
        """How old the last heartbeat of our own is that was committed; the oldest of all sources."""
        return now - min((stretch.until for stretch in self.coverage.values()), default=now)

    async def hear_of_others(self) -> Stretches:
        """Ask how far the other workers have heard, and return how far all of them have."""
        async with self._parts.pool.acquire() as connection:
            self.others = await load_others(connection, self._parts.worker)
        return heard_by_all(self.coverage, self.others)

    async def settle(
        self, batch: Sequence[Delivery], token: int, redelivered_in_hand: int = 0, *, retry: bool = False
    ) -> None:
        """Settle a batch: everything it says is stored, judged and counted, or nothing is.

        ``token`` marks the transaction; a ``retry`` first waits for an earlier attempt that may still be committing,
        and does nothing if it did. Raises what the database raises; the caller decides (``service.worker``).
        """
        parts = self._parts
        now = parts.clock.now()
        messages, coverage, outages = self._heartbeats(batch)
        async with parts.pool.acquire() as connection:
            await self._recall(connection, messages)
            parcels = decode_all(messages, parts.router, parts.bounds)
            await self.identify(connection, parcels)
            async with connection.transaction():
                if retry and await token_under_lock(connection, parts.worker) == token:
                    self.coverage = await load_coverage(connection, parts.worker)
                    return
                book, held = await self.settle_parcels(connection, parcels, coverage, now)
                await self._remember(connection, parcels)
                tallies = settle_accounts(parcels, held, redelivered_in_hand, now)
                if tallies:
                    await add_tallies(connection, parts.worker, tallies)
                book.dropped(redelivered_in_hand, now)
                if book.rows:
                    await add_device_days(connection, parts.worker, book.rows)
                if coverage != self.coverage:
                    await save_coverage(connection, parts.worker, coverage)
                if outages:
                    await record_outages(connection, parts.worker, OutageCause.SILENT, outages)
                await write_token(connection, parts.worker, token, now)
        self.heard = self.heard or coverage != self.coverage
        self.coverage = coverage

    async def identify(self, connection: Executor, parcels: Sequence[Parcel]) -> None:
        """Find the devices, make readings of the samples, and a place for them."""
        parts = self._parts
        devices = await parts.known.load(connection, aliases_of(parcels))
        identify_all(parcels, devices, parts.router, parts.bounds)
        await self._partitions.ensure(connection, {r.at.astimezone(UTC).date() for p in parcels for r in p.readings})

    async def settle_parcels(
        self, connection: Executor, parcels: Sequence[Parcel], coverage: Mapping[str, Coverage], now: datetime
    ) -> tuple[DayBook, set[int]]:
        """Judge, store, decide, set aside: the same for what the broker delivered and for what is re-driven.

        Within the caller's transaction. Returns the accounts of devices, and the ids of the parcels whose message lay
        in quarantine before.
        """
        book = DayBook(self._parts.zone)
        streams, states, known = await self._lock(connection, parcels)
        book.open(parcels, states.values())
        await self._tell_new_from_known(connection, streams)
        amendment, timers = await rejudge_late(connection, streams, self._parts.late_bound)
        transitions = self._judge(streams, heard_by_all(coverage, self.others), timers)
        events = await settle_told(connection, parcels, states)
        if events:
            await judge_events(connection, events, known, self._parts.late_bound, amendment, timers)
        held = await quarantine(connection, parcels)
        book.enter(parcels, states, held)
        await self._store(connection, streams, states, timers)
        await self._parts.cases.settle(connection, transitions, known, now, amendment)
        await add_clock_samples(connection, sample_clocks(streams, parcels))
        doubles = [
            Double(r.device_id, r.at, r.digest, p.delivery.received_at, p.delivery.redelivered)
            for p in parcels
            if p.duplicates
            for r in p.doubles
        ]
        if doubles:
            await record_doubles(connection, doubles)
        return book, held

    def _heartbeats(
        self, batch: Sequence[Delivery]
    ) -> tuple[list[Delivery], dict[str, Coverage], list[tuple[str, datetime, datetime]]]:
        """Part our own heartbeats from the messages, and say how far each source was heard with this batch."""
        topics = self._parts.heartbeats
        coverage = dict(self.coverage)
        outages: list[tuple[str, datetime, datetime]] = []
        messages: list[Delivery] = []
        for delivery in batch:
            source = topics.get(delivery.topic)
            if source is None or delivery.refused is not None:
                messages.append(delivery)
                continue
            if not delivery.payload.isdigit() or len(delivery.payload) > _HEARTBEAT_DIGITS:
                continue
            beat = min(from_micros(int(delivery.payload)), delivery.received_at)
            stretch = coverage.get(source)
            if stretch is None:
                coverage[source] = Coverage(beat, beat)
            elif beat - stretch.until > self._parts.heartbeat_gap:
                outages.append((source, stretch.until, beat))
                coverage[source] = Coverage(beat, beat)
            elif beat > stretch.until:
                coverage[source] = Coverage(stretch.since, beat)
        return messages, coverage, outages

    async def _recall(self, connection: Executor, messages: Sequence[Delivery]) -> None:
        """Give redelivered messages the time at which they were first received, where it is known."""
        again = {delivery.packet_id: delivery for delivery in messages if delivery.redelivered and delivery.packet_id}
        if not again:
            return
        for first in await recall_first_times(connection, self._parts.worker, list(again)):
            delivery = again[first.packet_id]
            if first.digest == delivery_digest(delivery.topic, delivery.payload):
                delivery.received_at = min(first.received_at, delivery.received_at)

    async def _lock(
        self, connection: Executor, parcels: Sequence[Parcel]
    ) -> tuple[list[Stream], dict[int, DeviceState], dict[int, Known]]:
        """Lock the devices of the batch, in order, and give each the readings that are its own."""
        known: dict[int, Known] = {}
        arrivals: dict[int, Stream] = {}
        for parcel in parcels:
            known |= parcel.known
            for device, _ in parcel.told:
                known.setdefault(device.device.id, device)
        states = await lock_states(connection, sorted(known)) if known else {}
        for parcel in parcels:
            for reading in parcel.readings:
                stream = arrivals.get(reading.device_id)
                if stream is None:
                    state = states[reading.device_id]
                    stream = arrivals[reading.device_id] = Stream(known[reading.device_id], state, parcel.source)
                stream.arrivals.append((reading, parcel))
        return list(arrivals.values()), states, known

    @staticmethod
    async def _tell_new_from_known(connection: Executor, streams: Sequence[Stream]) -> None:
        for stream in streams:
            sort_out(stream)
        doubtful = [reading for stream in streams for reading, _ in stream.doubtful]
        if doubtful:
            unique = {(reading.device_id, reading.at, reading.digest): reading for reading in doubtful}
            settle_doubtful(streams, await insert_readings(connection, list(unique.values())))

    @staticmethod
    def _judge(streams: Sequence[Stream], coverage: Mapping[str, Coverage], timers: list[Timer]) -> list[Transition]:
        """Judge what is fresh; add to ``timers`` where the ticker must look earlier than it would."""
        transitions: list[Transition] = []
        for stream in streams:
            steps, timer = judge_stream(stream, coverage)
            transitions += steps
            if timer is not None:
                timers.append(timer)
        return transitions

    @staticmethod
    async def _store(
        connection: Executor, streams: Sequence[Stream], states: Mapping[int, DeviceState], timers: Sequence[Timer]
    ) -> None:
        new = [reading for stream in streams for reading in stream.certain]
        if new:
            await copy_readings(connection, new)
        if states:
            await save_states(connection, list(states.values()))
        if timers:
            await bring_forward(connection, timers)

    async def _remember(self, connection: Executor, parcels: Sequence[Parcel]) -> None:
        """Keep the received times that have become readings' times, until the broker has seen our acknowledgement."""
        first_times = [
            FirstTime(d.packet_id, delivery_digest(d.topic, d.payload), d.received_at)
            for d in (p.delivery for p in parcels if p.clocked and p.outcome is Outcome.ACCEPTED)
            if d.packet_id
        ]
        if first_times:
            await remember_first_times(connection, self._parts.worker, first_times)
