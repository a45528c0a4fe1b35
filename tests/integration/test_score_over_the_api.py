"""The scorer's way to the service: whole lists over the real API, page by page, patient and plain about what fails."""

from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import InvalidInputError, NotAllowedError, UnauthenticatedError, UnavailableError
from domain.role import Role
from simulators.service_api import PAUSES_S, ServiceApi, open_api
from tests.support.api import client, make_alert, registered


class Pauses:
    """Remembers for how long it was to wait, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Flaky:
    """The real API behind something that answers in its stead a few times."""

    def __init__(self, app: ASGIApp, status: int, times: int, headers: dict[str, str] | None = None) -> None:
        self._app, self._status, self._times = app, status, times
        self._headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._times <= 0:
            await self._app(scope, receive, send)
            return
        self._times -= 1
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": b"busy"})


def behind(http: httpx.AsyncClient, wrap: Callable[[ASGIApp], ASGIApp]) -> httpx.AsyncClient:
    """The same client, with something before the application."""
    transport = http._transport  # pyright: ignore[reportPrivateUsage]  # httpx shows it to nobody
    assert isinstance(transport, httpx.ASGITransport)
    headers = {"Authorization": http.headers["Authorization"]}
    wrapped = httpx.ASGITransport(wrap(transport.app))
    return httpx.AsyncClient(transport=wrapped, base_url="http://test", headers=headers)


async def test_every_alert_is_fetched_page_by_page_whatever_its_state(pool: asyncpg.Pool) -> None:
    await registered(pool, "a", "b")
    made = [await make_alert(pool, "ab"[n % 2], minutes=n, state=("firing", "cleared")[n % 2]) for n in range(7)]
    async with client(pool, Role.VIEWER) as http:
        api = ServiceApi(http, page=2)
        alerts = await api.alerts()
        assert [alert.id for alert in alerts] == sorted(made)
        assert (alerts[0].device, alerts[0].rule, alerts[0].standing) == ("a", "manhole.tilt", "upheld")
        assert await api.tickets() == []
        assert [alert.id for alert in await api.firing()] == sorted(made)[::2]


async def test_an_alert_that_moves_to_a_page_already_read_is_not_lost(pool: asyncpg.Pool) -> None:
    """The gravest come first: one that rises while the pages are read is behind the reader."""
    await registered(pool, "a")
    made = [await make_alert(pool, "a", minutes=n) for n in range(6)]

    class Meddling(ServiceApi):
        async def ask(
            self,
            method: str,
            path: str,
            params: Mapping[str, str] | None = None,
            body: Mapping[str, object] | None = None,
        ) -> dict[str, Any]:
            answer = await super().ask(method, path, params, body)
            await pool.execute(
                "UPDATE alert SET severity = 1, changed = pg_current_xact_id() WHERE id = $1 AND severity > 1", made[0]
            )
            return answer

    async with client(pool) as http:
        api = Meddling(http, page=2)
        rows, _ = await api._pages("/v1/alerts", {"state": "all"})  # pyright: ignore[reportPrivateUsage]  # what would be lost
        assert made[0] not in {row["id"] for row in rows}
        await pool.execute("UPDATE alert SET severity = 2")
        assert [alert.id for alert in await api.alerts()] == made


async def test_acknowledging_names_the_owner(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    async with client(pool, Role.OPERATOR) as http:
        await ServiceApi(http).acknowledge(number, owner="crew 3", note="on the way")
        shown = (await http.get(f"/v1/alerts/{number}")).json()
    assert (shown["owner"], shown["note"]) == ("crew 3", "on the way")


async def test_a_service_that_is_busy_is_asked_again_and_may_say_when(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    made = await make_alert(pool, "a")
    pauses = Pauses()
    async with client(pool) as http:
        async with behind(http, lambda app: Flaky(app, 503, 2)) as flaky:
            assert [alert.id for alert in await ServiceApi(flaky, pause=pauses).alerts()] == [made]
        async with behind(http, lambda app: Flaky(app, 429, 1, {"Retry-After": "7"})) as flaky:
            assert [alert.id for alert in await ServiceApi(flaky, pause=pauses).alerts()] == [made]
    assert pauses.seconds == [*PAUSES_S[:2], 7.0]


async def test_a_service_that_stays_away_is_given_up(pool: asyncpg.Pool) -> None:
    pauses = Pauses()
    async with client(pool) as http, behind(http, lambda app: Flaky(app, 503, 99)) as flaky:
        with pytest.raises(UnavailableError, match="the API answers /v1/alerts with 503"):
            await ServiceApi(flaky, pause=pauses).alerts()
    assert pauses.seconds == list(PAUSES_S)


async def test_nobody_there_is_said_with_the_address() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as nobody:
        with pytest.raises(UnavailableError, match=r"the API at http://127\.0\.0\.1:9 does not answer"):
            await ServiceApi(nobody, pause=Pauses()).alerts()


async def test_a_wrong_key_and_a_small_role_are_told_apart(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    async with client(pool, None) as http:
        with pytest.raises(UnauthenticatedError, match=r"refuses /v1/alerts \(401\)"):
            await ServiceApi(http).alerts()
    async with client(pool, Role.VIEWER) as http:
        with pytest.raises(NotAllowedError, match=r"refuses /v1/alerts/\d+/ack \(403\)"):
            await ServiceApi(http).acknowledge(number, owner="x", note="")


async def test_something_that_is_no_api_of_the_service_is_refused(pool: asyncpg.Pool) -> None:
    async with client(pool) as http, behind(http, lambda app: Flaky(app, 200, 1)) as other:
        with pytest.raises(InvalidInputError, match="is no API of the service"):
            await ServiceApi(other).alerts()
    with pytest.raises(InvalidInputError, match="no address of an API"):
        async with open_api("http://[::1", "key"):
            pass
