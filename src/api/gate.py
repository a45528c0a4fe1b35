"""The gate that every request passes: its id, its size, its log line, and the headers of every answer."""

import re
import time
import uuid
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE, problem_body, problem_of_unexpected

MAX_BODY_BYTES: Final = 1024 * 1024
"""The largest body any route takes is a device with its field map; a file of thousands goes through the import."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""A caller's own id is kept if it could not break a log line."""

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""

log: Final = structlog.stdlib.get_logger("api")


class Gate:
    """Outermost of the application's own layers: what fails inside leaves as a problem from here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Passing(scope, receive, send)
        with structlog.contextvars.bound_contextvars(request_id=request.id):
            try:
                await self._pass(request)
            finally:
                request.log()

    async def _pass(self, request: "_Passing") -> None:
        if request.declared_size > MAX_BODY_BYTES:
            await request.refuse(413, "too_large", _TOO_LARGE)
            return
        try:
            await self._app(request.scope, request.receive, request.send)
        except Exception as error:  # the last place that can answer
            status, code, detail = problem_of_unexpected(error)
            log.exception("request_failed", code=code)
            if request.status is not None:  # half an answer has left: only breaking off is honest
                raise
            await request.refuse(status, code, detail)


_TOO_LARGE: Final = f"A body may have {MAX_BODY_BYTES} bytes; `streetwarden import` takes files of any size."


class _Passing:
    """One request on its way: counts what comes in, adds headers to what goes out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self._received = 0
        self.status: int | None = None
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        declared = headers.get("content-length", "0")
        self.declared_size = int(declared) if declared.isascii() and declared.isdigit() else 0
        scope.setdefault("state", {})["request_id"] = self.id

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self.id
        await self._send(message)

    async def refuse(self, status: int, code: str, detail: str) -> None:
        body = problem_body(status, code, detail, instance=self.scope["path"], request_id=self.id)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def log(self) -> None:
        log.info(
            "request",
            method=self.scope["method"],
            path=self.scope["path"],
            status=self.status,
            ms=round((time.perf_counter() - self._began) * 1000, 1),
        )
