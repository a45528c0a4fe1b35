"""create_app: the whole of the HTTP interface, put together from its parts."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from api.gate import Gate
from api.parts import ApiSettings, Parts
from api.problems import Problem, documented, install
from api.reference import POLICY, render
from api.registration import Vocabulary
from api.routes import (
    alerts,
    assets,
    backtests,
    check_ins,
    clocks,
    device_rules,
    devices,
    diagnosis,
    explained,
    health,
    incidents,
    keys,
    kinds,
    ledger,
    lighting,
    readings,
    redrive,
    rule_overrides,
    rules,
    silences,
    tickets,
    trace,
    zones,
)
from api.security import KeyRing
from devices.catalogue import load_kinds
from domain.clock import Clock
from ingest.catalogue import load_formats
from store.connection import Pool

_DESCRIPTION: Final = (
    "The sensing-and-ticket service of a district's smart city management (智慧城管). Every request but those for "
    "health and this description needs a key: `Authorization: Bearer sw_<id>_<secret>`. Times are RFC 3339 in UTC. "
    "Lists come in pages: give `next` as `cursor`. Errors are RFC 9457 problems whose `code` is stable."
)

_ROUTERS: Final = (
    health.router,
    alerts.router,
    incidents.router,
    tickets.router,
    silences.router,
    devices.router,
    device_rules.router,
    explained.router,
    clocks.router,
    readings.router,
    assets.router,
    check_ins.router,
    kinds.router,
    rules.router,
    rule_overrides.router,
    backtests.router,
    lighting.router,
    diagnosis.router,
    redrive.router,
    ledger.router,
    trace.router,
    zones.router,
    keys.router,
)


def create_app(pool: Pool, clock: Clock, settings: ApiSettings | None = None) -> FastAPI:
    """Build the application on an open pool; whoever opened the pool closes it."""
    settings = settings or ApiSettings()
    app = FastAPI(
        title="Streetwarden",
        version=version("streetwarden"),
        description=_DESCRIPTION,
        docs_url=None,  # those load their scripts from the internet; see api.reference
        redoc_url=None,
        responses=documented(500),
    )
    app.state.parts = Parts(
        pool=pool,
        clock=clock,
        settings=settings,
        vocabulary=vocabulary(),
        keys=KeyRing(pool, settings.key_memory_s),
    )
    install(app)
    app.add_middleware(Gate)
    for router in _ROUTERS:
        app.include_router(router)
    _offer_reference(app)
    return app


def vocabulary() -> Vocabulary:
    """What registrations may name, as it is installed here."""
    return Vocabulary(kinds=load_kinds(), sources=frozenset(load_formats()))


def _offer_reference(app: FastAPI) -> None:
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        # The problem is no route's own model, so FastAPI does not list it by itself.
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        # FastAPI describes its own form of a validation error wherever a route takes input; ours is a problem.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        return document

    async def reference() -> HTMLResponse:
        page = render(app.openapi())
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend its document
    app.add_api_route("/docs", reference, include_in_schema=False)
