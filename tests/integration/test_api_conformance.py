"""The interface against its own description: whatever is sent, the answer is one that the description names."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# (schemathesis leaves the parameters of its generic types open)

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from domain.role import Role
from store.keys import create_key
from store.pool import open_pool
from tests.support.api import NOW, StillClock, make_alert, registered

EXAMPLES = 15
"""Of each operation: enough to meet the edges of each parameter, few enough for every run."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@contextmanager
def served(database_url: str) -> Generator[tuple[str, str]]:
    """Serve from a thread with a loop of its own, since the generated requests come from outside; address and key."""
    listening = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []
    keys: list[str] = []

    async def serve() -> None:
        pool = await open_pool(database_url, application_name="test")
        await registered(pool, "mh-0815")
        await make_alert(pool, "mh-0815")
        keys.append(await create_key(pool, name="test", role=Role.ADMIN, now=NOW))
        servers.append(uvicorn.Server(uvicorn.Config(create_app(pool, StillClock()), log_config=None, lifespan="off")))
        await servers[0].serve([listening])
        await pool.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not (servers and servers[0].started):
            assert time.monotonic() < deadline, "the API did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", keys[0]
    finally:
        for server in servers:
            server.should_exit = True
        thread.join()
        listening.close()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_operation_answers_as_described(database_url: str) -> None:
    with served(database_url) as (address, key):
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        asked = 0
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            )
            @given(case=operation.as_strategy())
            def ask(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {key}"})

            ask()
            asked += 1
    assert asked > 20
