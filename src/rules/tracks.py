"""Tracks: what the engine remembers of one device between two readings, and its form in the database."""

from dataclasses import dataclass, field

import orjson

from domain.reading import MeasureValue
from rules.rule import Memory


@dataclass(slots=True)
class LevelTrack:
    """One level that is pending or firing; a clear level has none. Times in microseconds since 1970."""

    onset: int
    """Since when it has been bad without a gap."""
    seen: int
    """Time of the last reading that said so: the hold may elapse while that reading is valid."""
    fired: int | None = None
    """When it fired; ``None`` while pending."""
    calm: int | None = None
    """While it fires: since when readings have been good without a gap, if it must keep on for a time."""
    calm_seen: int | None = None
    """Time of the last of these."""


@dataclass(slots=True)
class RuleTrack:
    """One rule that is pending or firing on a device, or remembers earlier readings."""

    levels: list[LevelTrack | None]
    onset: int | None = None
    """Onset of the alert while it fires: with device and rule, its identity."""
    value: MeasureValue | None = None
    """The last bad value."""
    reading: tuple[int, int] | None = None
    """(time, digest) of the reading it came with."""
    memory: Memory = None
    """What the condition keeps of the readings before."""
    kind: str | None = None
    """The rule kind that keeps it: another one does not understand it."""

    @property
    def is_clear(self) -> bool:
        """Whether no level is pending or firing."""
        return not any(self.levels)

    @property
    def latest_fired(self) -> int | None:
        """When its last level fired: so far the clock has decided."""
        return max(
            (level.fired for level in self.levels if level is not None and level.fired is not None), default=None
        )


@dataclass(slots=True)
class SilenceTrack:
    """A silence that fires. Times in microseconds since 1970."""

    onset: int


@dataclass(slots=True)
class Tracks:
    """All that is not clear or is remembered on one device. Both empty for most, so that they cost nothing to keep."""

    rules: dict[str, RuleTrack] = field(default_factory=dict[str, RuleTrack])
    silences: dict[str, SilenceTrack] = field(default_factory=dict[str, SilenceTrack])

    def __bool__(self) -> bool:
        """Whether anything is pending, firing or remembered."""
        return bool(self.rules or self.silences)

    @property
    def latest_fired(self) -> int | None:
        """When the last level of any rule fired."""
        return max((fired for track in self.rules.values() if (fired := track.latest_fired) is not None), default=None)


def encode_tracks(tracks: Tracks) -> bytes | None:
    """The stored form: JSON, or ``None`` where nothing is remembered."""
    if not tracks:
        return None
    return orjson.dumps(
        {
            "r": {
                key: [
                    track.onset,
                    track.value,
                    track.reading,
                    [None if level is None else _stored_level(level) for level in track.levels],
                    *(() if track.memory is None else (track.memory, track.kind)),
                ]
                for key, track in tracks.rules.items()
            },
            "s": {key: track.onset for key, track in tracks.silences.items()},
        }
    )


def _stored_level(level: LevelTrack) -> list[int | None]:
    stored = [level.onset, level.seen, level.fired]
    return stored if level.calm is None else [*stored, level.calm, level.calm_seen]


def decode_tracks(stored: bytes | None) -> Tracks:
    """Read the stored form."""
    if stored is None:
        return Tracks()
    data = orjson.loads(stored)
    return Tracks(
        rules={
            key: RuleTrack(
                levels=[None if level is None else LevelTrack(*level) for level in levels],
                onset=onset,
                value=value,
                reading=None if reading is None else (reading[0], reading[1]),
                memory=remembered[0] if remembered else None,
                kind=remembered[1] if remembered else None,
            )
            for key, (onset, value, reading, levels, *remembered) in data["r"].items()
        },
        silences={key: SilenceTrack(onset) for key, onset in data["s"].items()},
    )
