"""Ask for a re-drive and do it, as an ingest worker would; and say whether all accounts agree."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.delivery import Delivery
from service.flow import Flow
from service.redrive import Redriver
from store.redrive import Redrive, ask_redrive, find_redrive
from tests.support.publishing import topic

NOW = datetime.now(UTC).replace(second=0, microsecond=0)


def delivery(payload: bytes, seconds: float = 0, *, device: str = "DC-1", again: bool = False) -> Delivery:
    at = NOW + timedelta(seconds=seconds)
    return Delivery(topic(device), payload, at, 1, redelivered=again, generation=1)


def redriver_of(flow: Flow) -> Redriver:
    return Redriver(flow._parts, flow)  # pyright: ignore[reportPrivateUsage]  # the parts it was made of


async def redrive(
    pool: Any, flow: Flow, *, quarantine_id: int | None = None, reason: str | None = None, source: str | None = None
) -> Redrive:
    """Do it to its end."""
    asked = await ask_redrive(pool, quarantine_id=quarantine_id, reason=reason, source=source, by="test", now=NOW)
    driver = redriver_of(flow)
    for _ in range(100):
        if not await driver.look():
            break
    done = await find_redrive(pool, asked.id)
    assert done is not None
    assert done.state == "done"
    return done
