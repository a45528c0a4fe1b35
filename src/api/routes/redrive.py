"""Re-drive: have what lies in quarantine settled again once its cause is gone; an ingest worker does it."""

from typing import Final

from fastapi import APIRouter

from api.fields import Id
from api.models.redrive import NewRedrive, RedriveJob
from api.parts import PartsOf
from api.problems import documented
from api.security import Diagnostician, Redriver
from domain.errors import NotFoundError
from store.quarantine_views import find_quarantine
from store.redrive import ask_redrive, find_redrive

router: Final = APIRouter(prefix="/v1/quarantine/redrive", tags=["diagnosis"])


@router.post("", status_code=202, responses=documented(401, 403, 404, 422))
async def ask(parts: PartsOf, caller: Redriver, body: NewRedrive) -> RedriveJob:
    """Ask for one message, all of a reason, or all of a source to be settled again, as if it had just been received.

    Readings get the times at which their messages were received first. What fails again goes back under its new reason.
    """
    if body.id is not None and await find_quarantine(parts.pool, body.id) is None:
        raise NotFoundError(f"There is no message {body.id} in quarantine.")
    job = await ask_redrive(
        parts.pool,
        quarantine_id=body.id,
        reason=body.reason,
        source=body.source,
        by=caller.name,
        now=parts.clock.now(),
    )
    return RedriveJob.of(job)


@router.get("/{number}", responses=documented(401, 403, 404, 422))
async def show(number: Id, parts: PartsOf, _: Diagnostician) -> RedriveJob:
    """Show how far a re-drive has come."""
    job = await find_redrive(parts.pool, number)
    if job is None:
        raise NotFoundError(f"There is no re-drive {number}.")
    return RedriveJob.of(job)
