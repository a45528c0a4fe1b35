"""Health: is the process alive, can it serve, do messages reach the service. Open to all, and tells no secret."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response

from api.models.catalogue import Coverage, IngestWorker, Live, Outage, Ready
from api.parts import Parts, PartsOf
from domain.errors import RefusedError
from store.health import answers, list_coverage, list_outages
from store.migrate import require_current_schema
from store.rule_book import refused_files
from store.worker_sessions import list_sessions

router: Final = APIRouter(prefix="/v1/health", tags=["health"])

_RECENT: Final = timedelta(hours=24)


@router.get("/live")
async def live() -> Live:
    """Answer at all: the process runs."""
    return Live()


@router.get("/ready", responses={503: {"model": Ready, "description": "It cannot serve now."}})
async def ready(parts: PartsOf, response: Response) -> Ready:
    """Say whether this process can serve (200 or 503) and how well each source is heard.

    A source that is not heard does not make the API unready: operators need it then most of all.
    """
    if not await answers(parts.pool):
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return _not_ready(database=False)
    try:
        await require_current_schema(parts.pool)
    except RefusedError:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return _not_ready(database=True)
    return await _heard(parts)


async def _heard(parts: Parts) -> Ready:
    now = parts.clock.now()
    coverage = [
        Coverage(
            **row._asdict(),
            age_s=round((now - row.until).total_seconds(), 1),
            heard=now - row.until <= parts.settings.stale_coverage,
        )
        for row in await list_coverage(parts.pool)
    ]
    deaf = {each.worker for each in coverage if not each.heard}
    spoken = {each.worker for each in coverage}
    workers = [
        IngestWorker(
            worker=session.client_id,
            state=session.state,
            connected=session.standing,
            heard=session.client_id in spoken and session.client_id not in deaf,
        )
        for session in await list_sessions(parts.pool)
    ]
    outages = await list_outages(parts.pool, now - _RECENT)
    return Ready(
        status="ready",
        database=True,
        schema_current=True,
        ingest_heard=bool(coverage) and not deaf and all(each.heard for each in workers),
        workers=workers,
        coverage=coverage,
        outages=[Outage(**row._asdict()) for row in outages],
        rule_files_refused=[row.file for row in await refused_files(parts.pool)],
    )


def _not_ready(*, database: bool) -> Ready:
    return Ready(
        status="not_ready",
        database=database,
        schema_current=False,
        ingest_heard=False,
        workers=[],
        coverage=[],
        outages=[],
        rule_files_refused=[],
    )
