"""Ticker: lets the clock decide what no message decided: holds that elapsed, silences that became too long."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from domain.alert import Transition
from domain.coverage import Coverage
from domain.device import LifeCycle
from rules.engine import Hearing, abandon, next_hold_due, next_silence_due, tick
from rules.tracks import decode_tracks, encode_tracks
from service.cases import Cases
from service.event_rules import look_at_events
from service.known import Known, KnownDevices
from store.connection import Pool
from store.states import DeviceState, lock_free_states, save_states
from store.timers import Timer, due_devices, earlier, set_timers

_AT_ONCE: Final = 2000
"""Devices looked at in one transaction: about what a full batch of messages locks."""

_LOOK_AGAIN: Final = timedelta(seconds=10)
"""When a silence is due but cannot be judged yet (its source was away, the device is suspended), look after this."""


class Ticker:
    """Looks at due devices. Decides with the time at which a thing was due, never the time of the look."""

    def __init__(self, pool: Pool, known: KnownDevices, cases: Cases, late_bound: timedelta) -> None:
        """Take the parts; it keeps nothing. ``late_bound`` is that of the flow."""
        self._late_bound = late_bound
        self._pool = pool
        self._known = known
        self._cases = cases

    async def look(self, now: datetime, coverage: Mapping[str, Coverage], until: datetime | None = None) -> int:
        """Judge what is due; return how many devices were looked at.

        Holds up to ``until`` (else ``now``: the caller knows whether messages wait that may decide them), silences up
        to their source's watermark.

        A device that is locked by a batch is left for the next look: the batch itself decides what is due.
        """
        watermark = max((stretch.until for stretch in coverage.values()), default=None)
        async with self._pool.acquire() as connection, connection.transaction():
            due = await due_devices(connection, until or now, watermark, _AT_ONCE)
            if not due:
                return 0
            states = await lock_free_states(connection, sorted(due))
            known = await self._known.load_by_id(connection, list(states))
            transitions: list[Transition] = []
            timers: list[Timer] = []
            events = await look_at_events(connection, known, now, until or now, self._late_bound)
            changed: list[DeviceState] = []
            for device_id, state in states.items():
                stretch = None if state.source is None else coverage.get(state.source)
                steps, timer = _look_at(state, known[device_id], now, until or now, stretch)
                transitions += steps
                timers.append(timer._replace(hold_due=earlier(timer.hold_due, events.due.get(device_id))))
                if steps:
                    changed.append(state)
            if changed:
                await save_states(connection, changed)
            if timers:
                await set_timers(connection, timers)
            await self._cases.settle(connection, [*transitions, *events.transitions], known, now)
            return len(states)


def _look_at(
    state: DeviceState, known: Known, now: datetime, until: datetime, coverage: Coverage | None
) -> tuple[list[Transition], Timer]:
    match known.device.life_cycle:
        case LifeCycle.RETIRED:
            tracks = decode_tracks(state.tracks)
            steps = abandon(tracks, state.device_id, now)
            state.tracks = encode_tracks(tracks)
            return steps, Timer(state.device_id, None, None)
        case LifeCycle.SUSPENDED:
            # Out for a while: nothing is judged. When it is back, the registry's change asks for a look at once.
            return [], Timer(state.device_id, None, None)
        case LifeCycle.REGISTERED | LifeCycle.IN_SERVICE:
            pass
    tracks = decode_tracks(state.tracks)
    hearing = Hearing(state.heard_at, coverage)
    steps = tick(known.plan, tracks, state.device_id, until, hearing)
    if steps:
        state.tracks = encode_tracks(tracks)
    silence_due = next_silence_due(known.plan, tracks, hearing)
    if silence_due is not None and silence_due <= now:
        silence_due = now + _LOOK_AGAIN
    return steps, Timer(state.device_id, next_hold_due(known.plan, tracks), silence_due)
