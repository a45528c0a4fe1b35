"""Errors as RFC 9457 problems: one table from domain error to HTTP status, and the handlers that use it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from api.registration import RegistrationError
from domain.errors import (
    ChangedMeanwhileError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    StreetwardenError,
    UnauthenticatedError,
    UnavailableError,
)
from store.health import is_unavailable

MEDIA_TYPE: Final = "application/problem+json"

_STATUS: Final[Mapping[type[StreetwardenError], HTTPStatus]] = {
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    NotAllowedError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    ChangedMeanwhileError: HTTPStatus.PRECONDITION_FAILED,
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    RefusedError: HTTPStatus.SERVICE_UNAVAILABLE,
    StreetwardenError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Families of errors; a leaf takes the status of the nearest family above it."""

_CODES: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.NOT_FOUND: NotFoundError.code,
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
}
"""Of what the framework itself refuses."""

log: Final = structlog.stdlib.get_logger("api")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["component_code"])
    expected: str = Field(examples=["16 digits (部件标识码)"])


class Problem(BaseModel):
    """RFC 9457: what went wrong, for programs (code) and people (detail)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:streetwarden:problem:not_found",
                "title": "Not Found",
                "status": 404,
                "detail": "There is no device mh-0815.",
                "instance": "/v1/devices/mh-0815",
                "code": "not_found",
            }
        }
    )

    type: str = Field(description="A URN made of the code.")
    title: str
    status: int
    detail: str = Field(description="One sentence: what happened and what to do.")
    instance: str = Field(description="The path asked for.")
    code: str = Field(description="Stable: programs may match on it.")
    request_id: str | None = Field(default=None, description="Stands in the service's log beside what happened.")
    errors: list[FieldProblem] | None = Field(default=None, description="Field by field, for what was not accepted.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route may answer with, for the OpenAPI document."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in (*statuses, HTTPStatus.SERVICE_UNAVAILABLE.value)
    }


_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}


def problem_body(
    status: int,
    code: str,
    detail: str,
    *,
    instance: str,
    request_id: str | None,
    errors: Sequence[Mapping[str, str]] = (),
) -> bytes:
    """Write one problem."""
    body: dict[str, object] = {
        "type": f"urn:streetwarden:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
    }
    if request_id is not None:
        body["request_id"] = request_id
    if errors:
        body["errors"] = list(errors)
    return orjson.dumps(body)


def status_of(error: StreetwardenError) -> HTTPStatus:
    """The HTTP status of a domain error."""
    return next(_STATUS[family] for family in type(error).__mro__ if family in _STATUS)


def install(app: FastAPI) -> None:
    """Let every error of the application leave as a problem."""
    app.add_exception_handler(StreetwardenError, _domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StreetwardenError)
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", code=error.code, detail=str(error))
    headers = {"WWW-Authenticate": 'Bearer realm="streetwarden"'} if status == HTTPStatus.UNAUTHORIZED else None
    errors = (
        [{"field": each.field, "expected": each.expected} for each in error.objections]
        if isinstance(error, RegistrationError)
        else ()
    )
    return _respond(request, status, error.code, str(error), headers=headers, errors=errors)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"field": _field(each["loc"]), "expected": str(each["msg"])} for each in error.errors()]
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return _respond(request, 400, "malformed", f"The body is not JSON: {errors[0]['expected']}.")
    detail = " ".join(f"{each['field']}: {each['expected']}." for each in errors)
    return _respond(request, 422, InvalidInputError.code, detail, errors=errors)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = str(error.detail)
    if detail == phrase:
        detail = f"{request.method} {request.url.path}: {phrase.lower()}. /openapi.json lists what there is."
    code = _CODES.get(error.status_code, "http_error")
    return _respond(request, error.status_code, code, detail, headers=error.headers)


def problem_of_unexpected(error: Exception) -> tuple[int, str, str]:
    """Status, code and sentence for an error that nobody foresaw: nothing of its inside leaves the house."""
    if is_unavailable(error):
        return 503, UnavailableError.code, "The database does not answer right now; try again shortly."
    return 500, "internal_error", "The service failed to answer; the log has the reason under this request id."


def _respond(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> Response:
    request_id: str | None = request.scope.get("state", {}).get("request_id")
    body = problem_body(status, code, detail, instance=request.url.path, request_id=request_id, errors=errors)
    return Response(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _field(location: Sequence[str | int]) -> str:
    """Name a field by its path, without the word that says where it travelled."""
    inner = location[1:] if len(location) > 1 else location
    return ".".join(str(part) for part in inner)
