"""Redriver: settles again what lies in quarantine, through the same flow, as if it had just been received then.

It runs in an ingest worker between batches, a chunk at a time. A chunk is one transaction: the receipts leave the
quarantine, the messages are settled with the times at which they were received, and the accounts are moved. A crash
leaves the chunk undone, and the next worker takes it up.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from domain.ledger import Outcome, Reason
from ingest.delivery import Delivery
from service.accounts import add_posting
from service.flow import Flow, FlowParts
from service.parcel import Parcel
from service.postings import postings_of
from service.understand import decode_all
from store.connection import Executor
from store.failures import Failure, failure_of
from store.ledger import Tallies, add_tallies
from store.ledger_devices import add_device_days
from store.redrive import (
    Counts,
    Held,
    Job,
    claim_receipts,
    finish,
    mark_redriven,
    next_receipts,
    open_job,
    progress,
)

ACCOUNT: Final = "redrive"
"""The worker under whose name the transfers stand in the ledger."""

_AT_ONCE: Final = 500
"""Receipts of one transaction: ordinary messages wait no longer than for a batch of their own."""
_BYTES_AT_ONCE: Final = 1024 * 1024
"""Their payloads together: histories hold many readings each."""

log = structlog.get_logger()


class _TakenElsewhereError(Exception):
    """Another worker is at the job, or its receipts have expired since: the next look begins anew."""


class Redriver:
    """Works at the jobs; keeps nothing that a crash could lose."""

    def __init__(self, parts: FlowParts, flow: Flow) -> None:
        """Take the worker's own flow, and the parts it runs on."""
        self._parts = parts
        self._flow = flow

    async def look(self) -> bool:
        """Do the next chunk of the oldest job, if there is one; say whether there was."""
        async with self._parts.pool.acquire() as connection:
            job = await open_job(connection)
            if job is None:
                return False
            receipts = _bounded(await next_receipts(connection, job, _AT_ONCE))
            if not receipts:
                await finish(connection, job, self._parts.clock.now())
                log.info("redrive_done", redrive=job.id)
                return True
            try:
                await self._settle(connection, job, receipts)
            except _TakenElsewhereError:
                return False
            return True

    async def _settle(
        self, connection: Executor, job: Job, receipts: Sequence[Held], refused: str | None = None
    ) -> Job:
        """Settle receipts, halving them where the database refuses one; return the job as it goes on."""
        try:
            return await self._settle_chunk(connection, job, receipts, refused)
        except _TakenElsewhereError:
            raise
        except Exception as error:
            if failure_of(error) is not Failure.BLAME or refused is not None:
                raise
            why = repr(error)
        if len(receipts) == 1:
            log.error("redrive_refused", quarantine=receipts[0].quarantine_id, error=why)
            return await self._settle(connection, job, receipts, f"it cannot be settled: {why}")
        middle = len(receipts) // 2
        job = await self._settle(connection, job, receipts[:middle])
        return await self._settle(connection, job, receipts[middle:])

    async def _settle_chunk(self, connection: Executor, job: Job, receipts: Sequence[Held], refused: str | None) -> Job:
        now = self._parts.clock.now()
        parcels = self._understand(receipts, refused)
        await self._flow.identify(connection, parcels)
        async with connection.transaction():
            if not await claim_receipts(connection, job, [held.receipt for held in receipts]):
                raise _TakenElsewhereError
            book, before = await self._flow.settle_parcels(connection, parcels, self._flow.coverage, now)
            tallies: Tallies = {}
            for parcel in parcels:
                for posting in postings_of(parcel, before):
                    add_posting(tallies, parcel, posting)
            await add_tallies(connection, ACCOUNT, tallies)
            await add_device_days(connection, ACCOUNT, book.rows)
            await mark_redriven(connection, list({held.quarantine_id for held in receipts}), now)
            last = receipts[-1].receipt
            await progress(connection, job, last, _counts(parcels), now)
        return job._replace(after=last)

    def _understand(self, receipts: Sequence[Held], refused: str | None) -> list[Parcel]:
        deliveries = [_delivery(held, refused) for held in receipts]
        parcels = decode_all(deliveries, self._parts.router, self._parts.bounds)
        for parcel, held in zip(parcels, receipts, strict=True):
            parcel.held = held
            if held.rejected is not None and parcel.outcome is not Outcome.QUARANTINED:
                _narrow(parcel, held.reason, held.contained, [entry for entry, _ in held.rejected])
        return parcels


def _bounded(receipts: Sequence[Held]) -> Sequence[Held]:
    """As many as fit one transaction, at least one."""
    size = 0
    for number, held in enumerate(receipts):
        size += len(held.payload)
        if number and size > _BYTES_AT_ONCE:
            return receipts[:number]
    return receipts


def _narrow(parcel: Parcel, reason: str, contained: int, entries: Sequence[int]) -> None:
    """Of a message that was accepted, settle only what was rejected then: the rest is stored, and counted."""
    if len(parcel.samples) != contained:
        sentence = (
            f"its format reads {len(parcel.samples)} readings in it now, and read {contained} when it came: "
            "which of them were rejected can no longer be told"
        )
        parcel.set_aside(Reason(reason), sentence)
        return
    parcel.samples = [parcel.samples[entry] for entry in entries]


def _delivery(held: Held, refused: str | None) -> Delivery:
    return Delivery(
        held.topic,
        held.payload,
        held.received_at,
        packet_id=0,
        redelivered=False,
        generation=0,
        tell_properties=lambda: held.properties,
        refused=refused,
    )


def _counts(parcels: Sequence[Parcel]) -> Counts:
    accepted = [parcel for parcel in parcels if parcel.outcome is Outcome.ACCEPTED]
    duplicate = sum(parcel.duplicates for parcel in accepted)
    return Counts(
        taken=len(parcels),
        accepted=len(accepted),
        ignored=sum(parcel.outcome is Outcome.IGNORED for parcel in parcels),
        held_again=sum(parcel.reason is not None for parcel in parcels),
        stored=sum(len(parcel.readings) for parcel in accepted) - duplicate,
        duplicate=duplicate,
        rejected=sum(parcel.rejected for parcel in accepted),
    )
