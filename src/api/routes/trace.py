"""Trace: where is this message, with the evidence, for engineers and auditors."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.fields import Moment
from api.models.trace import LONGEST_TOPIC, MOST_WITHIN_S, TraceAnswer, TraceQuestion
from api.parts import Parts, PartsOf
from api.problems import documented
from api.security import Diagnostician
from api.tracing import Question, trace

router: Final = APIRouter(prefix="/v1/trace", tags=["diagnosis"])


@router.get("", responses=documented(401, 403, 422))
async def by_topic(
    parts: PartsOf,
    _: Diagnostician,
    topic: Annotated[str, Query(max_length=LONGEST_TOPIC, pattern=r"^[^\x00]*$")],
    at: Annotated[Moment, Query(description="When it was sent, or received (RFC 3339).")],
    within_s: Annotated[float, Query(ge=0, le=MOST_WITHIN_S, description="Seconds before and after.")] = 60.0,
) -> TraceAnswer:
    """Say where the messages of a topic around a time are: stored, duplicate, in quarantine, or never received.

    Histories whose readings lie more than two days back are found by their bytes only.
    """
    return await _answer(parts, Question(topic, at, timedelta(seconds=within_s), None))


@router.post("", responses=documented(401, 403, 422))
async def by_payload(parts: PartsOf, _: Diagnostician, body: TraceQuestion) -> TraceAnswer:
    """Say where one message is, by its bytes. Changes nothing."""
    return await _answer(parts, Question(body.topic, body.at, timedelta(seconds=body.within_s), body.payload()))


async def _answer(parts: Parts, question: Question) -> TraceAnswer:
    return TraceAnswer.of(await trace(parts.pool, parts.kinds, parts.settings.bounds, question))
