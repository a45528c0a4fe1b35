"""When the ticker must look at a device. Lazy: a reading only ever makes a look earlier."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Executor


class Timer(NamedTuple):
    """When to look at a device; ``None``: nothing to look for."""

    device_id: int
    hold_due: datetime | None
    silence_due: datetime | None


_EARLIER: Final = """
INSERT INTO device_timer AS t (device_id, hold_due, silence_due)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])
ON CONFLICT (device_id) DO UPDATE
SET hold_due = least(t.hold_due, excluded.hold_due), silence_due = least(t.silence_due, excluded.silence_due)
"""

_EXACTLY: Final = """
INSERT INTO device_timer AS t (device_id, hold_due, silence_due)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])
ON CONFLICT (device_id) DO UPDATE SET hold_due = excluded.hold_due, silence_due = excluded.silence_due
"""

_DUE: Final = """
(SELECT device_id FROM device_timer WHERE hold_due <= $1 ORDER BY hold_due LIMIT $3)
UNION
(SELECT device_id FROM device_timer WHERE silence_due <= $2 ORDER BY silence_due LIMIT $3)
"""


async def bring_forward(connection: Executor, timers: Sequence[Timer]) -> None:
    """Make looks earlier; a later time than the one that stands changes nothing. A device may have several."""
    earliest: dict[int, Timer] = {}
    for timer in timers:
        other = earliest.setdefault(timer.device_id, timer)
        if other is not timer:
            earliest[timer.device_id] = Timer(
                timer.device_id,
                earlier(timer.hold_due, other.hold_due),
                earlier(timer.silence_due, other.silence_due),
            )
    await connection.execute(_EARLIER, *_columns(list(earliest.values())))


async def set_timers(connection: Executor, timers: Sequence[Timer]) -> None:
    """Set the next looks exactly: only the ticker may, after its look."""
    await connection.execute(_EXACTLY, *_columns(timers))


async def due_devices(
    connection: Executor, holds_until: datetime, silences_until: datetime | None, most: int
) -> list[int]:
    """Devices to look at now: at most ``most`` for holds and as many for silences (none without a watermark)."""
    rows = await connection.fetch(_DUE, holds_until, silences_until, most)
    return [row[0] for row in rows]


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two times, where either may be missing."""
    return min((due for due in (one, other) if due is not None), default=None)


def _columns(unsorted: Sequence[Timer]) -> tuple[list[int], list[datetime | None], list[datetime | None]]:
    # In one order, as everything that locks rows: the registry makes looks earlier, too.
    timers = sorted(unsorted, key=lambda timer: timer.device_id)
    return (
        [timer.device_id for timer in timers],
        [timer.hold_due for timer in timers],
        [timer.silence_due for timer in timers],
    )
