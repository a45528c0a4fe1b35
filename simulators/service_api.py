"""The service's HTTP API as scorer and crews use it: whole lists page by page, acknowledgements, patient retries."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from domain.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    StreetwardenError,
    UnauthenticatedError,
    UnavailableError,
)
from ingest.json_text import as_list, as_object
from simulators.scoring.observed import ObservedAlert, ObservedTicket, read_alerts, read_tickets

PAGE: Final = 500
"""Rows of a page: the most that the API gives."""
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waited before each further try, when the service does not answer or asks for patience."""
LONGEST_PAUSE_S: Final = 60.0
"""Nobody who says ``Retry-After`` is waited for longer."""
ANSWER_WITHIN_S: Final = 30.0

_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_FAILED: Final = 400
_REFUSALS: Final[Mapping[int, type[StreetwardenError]]] = {
    401: UnauthenticatedError,
    403: NotAllowedError,
    409: ConflictError,
}


@asynccontextmanager
async def open_api(url: str, key: str) -> AsyncGenerator["ServiceApi"]:
    """Open the API at a URL such as ``http://127.0.0.1:8000`` with a key.

    Raises:
        InvalidInputError: the URL is none.
    """
    headers = {"Authorization": f"Bearer {key}"}
    try:
        client = httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_WITHIN_S)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInputError(f"{url!r} is no address of an API: {error}") from error
    async with client:
        yield ServiceApi(client)


class ServiceApi:
    """Asks one service; nothing is remembered between two questions."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        page: int = PAGE,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Take an open client that carries the key; ``pause`` waits so many seconds."""
        self._client = client
        self._page = page
        self._pause = pause

    async def alerts(self) -> list[ObservedAlert]:
        """Every alert in every state, by its id."""
        rows = await self._everything("/v1/alerts", "id")
        return sorted(read_alerts(rows), key=lambda alert: alert.id)

    async def tickets(self) -> list[ObservedTicket]:
        """Every ticket in every state, by its number."""
        rows = await self._everything("/v1/tickets", "number")
        return sorted(read_tickets(rows), key=lambda ticket: ticket.number)

    async def firing(self) -> list[ObservedAlert]:
        """Alerts that fire and that nobody has acknowledged."""
        rows, _ = await self._pages("/v1/alerts", {"acknowledged": "false"})
        return sorted(read_alerts(rows), key=lambda alert: alert.id)

    async def acknowledge(self, alert: int, *, owner: str, note: str) -> None:
        """Take an alert on in somebody's name."""
        await self.ask("POST", f"/v1/alerts/{alert}/ack", body={"owner": owner, "note": note})

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Ask once, or again after a pause where the service is away or asks for patience, and return the JSON object.

        Raises:
            UnavailableError: it did not answer however often it was asked.
            UnauthenticatedError: the key is not valid.
            NotAllowedError: the key may not do that.
            InvalidInputError: the service refuses the question, or answers with something else.
        """
        tries = 0
        while True:
            pause_s = 0.0
            try:
                answer = await self._client.request(method, path, params=params, json=body)
            except httpx.TransportError as error:
                trouble = f"the API at {self._client.base_url} does not answer: {error or type(error).__name__}"
            else:
                if answer.status_code != _TOO_MANY and answer.status_code < _SERVER_ERROR:
                    return _object(answer)
                trouble = f"the API answers {path} with {answer.status_code}: {_detail(answer)}"
                pause_s = _patience(answer)
            if tries == len(PAUSES_S):
                raise UnavailableError(trouble)
            await self._pause(max(pause_s, PAUSES_S[tries]))
            tries += 1

    async def _everything(self, path: str, key: str) -> list[dict[str, Any]]:
        """Every row of a list, also those that move to a page already read while the others are being read."""
        rows, changed = await self._pages(path, {"state": "all"})
        again, _ = await self._pages(path, {"state": "all", "changed_since": changed})
        return list({row[key]: row for row in (*rows, *again)}.values())

    async def _pages(self, path: str, params: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        """Rows of all pages, and the token of the first."""
        rows: list[dict[str, Any]] = []
        changed = ""
        cursor: str | None = None
        while True:
            page = await self.ask(
                "GET", path, {**params, "limit": str(self._page), **({"cursor": cursor} if cursor else {})}
            )
            items = as_list(page.get("items"))
            if items is None:
                raise InvalidInputError(f"what answers {path} at {self._client.base_url} is no list of the service")
            rows += items
            changed = changed or str(page.get("changed"))
            cursor = page.get("next")
            if cursor is None:
                return rows, changed


def _object(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= _FAILED:
        refusal = _REFUSALS.get(answer.status_code, InvalidInputError)
        raise refusal(f"the API refuses {answer.request.url.path} ({answer.status_code}): {_detail(answer)}")
    try:
        told = as_object(answer.json())
    except ValueError:
        told = None
    if told is None:
        raise InvalidInputError(f"what answers at {answer.request.url} is no API of the service")
    return told


def _detail(answer: httpx.Response) -> str:
    """What the problem says, in its own words."""
    try:
        problem = as_object(answer.json()) or {}
    except ValueError:
        problem = {}
    return str(problem.get("detail") or answer.reason_phrase)


def _patience(answer: httpx.Response) -> float:
    """How many seconds the service asks us to wait, within reason."""
    told = answer.headers.get("Retry-After", "")
    return min(LONGEST_PAUSE_S, float(told)) if told.isdigit() else 0.0
