"""Body: battery, radio and clock of a device, which age whatever it measures."""

import random
from typing import Final

from domain.reading import MeasureValue
from simulators.physics.calendar import DAY_MS, YEAR_DAYS
from simulators.physics.model import Moment

_BORN_MS: Final = 1_767_225_600_000
"""2026-01-01: ages are drawn for this day, and counted from it."""
_FRESH_V: Final = 3.65
_FADES_V: Final = 0.16
"""A lithium cell (Li-SOCl₂) holds its voltage for nearly all its life; a healthy one is changed before it gives way."""
_COLD_V: Final = 0.002
_ROOM_C: Final = 20.0
_RADIO_FADES_DB: Final = 0.4
"""A year: seals, antennas, growing trees."""
_RAIN_DB: Final = 2.0


class Body:
    """Battery and radio of one device."""

    __slots__ = ("_age_days", "_life_days", "_mains", "_rssi", "_snr")

    def __init__(self, dice: random.Random, *, mains: bool = False) -> None:
        """Draw age and reception; ``mains``: it has no battery."""
        self._life_days = dice.uniform(8.0, 14.0) * YEAR_DAYS
        self._age_days = dice.uniform(0.0, 0.6) * self._life_days
        self._rssi = dice.uniform(-112.0, -75.0)
        self._snr = min(9.0, 12.0 + (self._rssi + 75.0) * 0.35)
        self._mains = mains

    def measure(self, moment: Moment, temp_c: float, noise: tuple[float, float, float]) -> dict[str, MeasureValue]:
        """Battery and radio as they are at a moment, at a temperature of the device."""
        age = self._age_days + (moment.at_ms - _BORN_MS) / DAY_MS
        weak = _RADIO_FADES_DB * max(0.0, age) / YEAR_DAYS + _RAIN_DB * moment.rain
        told: dict[str, MeasureValue] = {
            "rssi_dbm": round(max(-148.0, self._rssi - weak + 3.0 * noise[0])),
            "snr_db": round(max(-39.0, self._snr - 0.3 * weak + 1.5 * noise[1]), 1),
        }
        if not self._mains:
            used = min(0.95, max(0.0, age / self._life_days))
            cold = _COLD_V * max(0.0, _ROOM_C - temp_c)
            told["battery_v"] = round(_FRESH_V - _FADES_V * used * used - cold + 0.006 * noise[2], 3)
            told["battery_pct"] = round(100.0 * (1.0 - used))
        return told
