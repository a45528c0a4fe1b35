"""Day book: the ledger per device and day of one batch, written only where something is not usual.

A usual message holds one reading, which was stored, and was received on the day on which its device was last heard: it
is counted by ``device_state.readings`` and writes nothing more. Everything else is entered at once, and its stored part
is noted in the state, so that ``readings - noted`` are always the usual ones of the day of ``heard_at``. When that day
is over, the next message of the device enters them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.ledger import Outcome
from service.parcel import Parcel
from service.postings import postings_of
from store.ledger import Tally
from store.states import DeviceState


class DayBook:
    """Of one batch; thrown away with it."""

    def __init__(self, zone: ZoneInfo) -> None:
        """Begin empty; the days are those of ``zone``."""
        self._zone = zone
        self.rows: dict[tuple[date, int], Tally] = {}
        self._today = date.min
        self._midnight = self._next_midnight = datetime(1970, 1, 1, tzinfo=UTC)

    def open(self, parcels: Sequence[Parcel], states: Iterable[DeviceState]) -> None:
        """Enter what a device sent on a day that is over; before anything is judged."""
        if not parcels:
            return
        latest = max(parcel.delivery.received_at for parcel in parcels)
        today = self._today = latest.astimezone(self._zone).date()
        self._midnight = datetime.combine(today, time.min, self._zone).astimezone(UTC)
        self._next_midnight = datetime.combine(today + timedelta(days=1), time.min, self._zone).astimezone(UTC)
        midnight = self._midnight
        for state in states:
            heard_at = state.heard_at
            if heard_at is not None and heard_at < midnight and state.readings != state.noted:
                row = self._row(heard_at, state.device_id)
                usual = state.readings - state.noted
                row.accepted += usual
                row.contained += usual
                row.stored += usual
                state.noted = state.readings

    def enter(self, parcels: Sequence[Parcel], states: Mapping[int, DeviceState], held_before: set[int]) -> None:
        """Enter what is not usual; after everything is judged, and before the states are written."""
        midnight, next_midnight = self._midnight, self._next_midnight
        for parcel in parcels:
            if (
                len(parcel.readings) == 1
                and parcel.outcome is Outcome.ACCEPTED
                and not parcel.duplicates
                and not parcel.rejected
                and midnight <= parcel.delivery.received_at < next_midnight
                and (heard_at := states[parcel.readings[0].device_id].heard_at) is not None
                and midnight <= heard_at < next_midnight
                and parcel.held is None
            ):
                continue
            self._enter(parcel, states, held_before)

    def dropped(self, count: int, now: datetime) -> None:
        """Enter messages dropped because they were still in hand: their device was not looked for."""
        if count:
            self._row(now, 0).redelivered += count

    def _enter(self, parcel: Parcel, states: Mapping[int, DeviceState], held_before: set[int]) -> None:
        received_at = parcel.delivery.received_at
        if parcel.outcome is Outcome.QUARANTINED and parcel.held is None:
            # Poison must stay cheap: what ``postings_of`` would say, without asking.
            row = self._row(received_at, parcel.sender)
            if parcel.delivery.redelivered and id(parcel) in held_before:
                row.redelivered += 1
            else:
                row.quarantined += 1
            return
        for posting in postings_of(parcel, held_before):
            posting.add_to(self._row(received_at, posting.device_id))
            if posting.account == "stored":
                states[posting.device_id].noted += posting.number

    def _row(self, moment: datetime, device_id: int) -> Tally:
        now = self._midnight <= moment < self._next_midnight
        key = (self._today if now else moment.astimezone(self._zone).date(), device_id)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Tally()
        return row
