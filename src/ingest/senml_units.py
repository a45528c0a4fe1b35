"""SenML units (RFC 8428 §12.1, RFC 8798) against the units that our measures carry in their names."""

import math
from typing import Final, NamedTuple


class Conversion(NamedTuple):
    """``value * factor + offset`` gives the value in the measure's unit."""

    factor: float = 1.0
    offset: float = 0.0


_SAME: Final = Conversion()

_INTO: Final[dict[str, dict[str, Conversion]]] = {
    "c": {"Cel": _SAME, "K": Conversion(offset=-273.15)},
    "deg": {"deg": _SAME, "rad": Conversion(180.0 / math.pi)},
    "m": {"m": _SAME, "mm": Conversion(1e-3), "cm": Conversion(1e-2), "km": Conversion(1e3)},
    "mm": {"mm": _SAME, "m": Conversion(1e3), "cm": Conversion(10.0)},
    "v": {"V": _SAME, "mV": Conversion(1e-3)},
    "a": {"A": _SAME, "mA": Conversion(1e-3)},
    "ma": {"mA": _SAME, "A": Conversion(1e3)},
    "w": {"W": _SAME, "kW": Conversion(1e3)},
    "kwh": {"kWh": _SAME, "Wh": Conversion(1e-3), "J": Conversion(1.0 / 3.6e6)},
    "m3": {"m3": _SAME, "l": Conversion(1e-3)},
    "m3h": {"m3/s": Conversion(3600.0), "l/s": Conversion(3.6)},
    "kpa": {"Pa": Conversion(1e-3), "hPa": Conversion(0.1)},
    "pct": {"%": _SAME, "/100": _SAME, "%EL": _SAME, "%RH": _SAME, "/": Conversion(100.0)},
    "lel": {"%": _SAME, "/100": _SAME, "/": Conversion(100.0)},
    "ppm": {"ppm": _SAME, "/": Conversion(1e6)},
    "dbm": {"dBm": _SAME, "dBW": Conversion(offset=30.0)},
    "db": {"dB": _SAME},
}
"""Last part of a measure's name → SenML unit → how to convert."""

_MEASURE_OF: Final = {
    "Cel": "temp_c",
    "K": "temp_c",
    "V": "volt_v",
    "A": "current_a",
    "W": "power_w",
    "m": "level_m",
    "Pa": "pressure_kpa",
    "m3": "volume_m3",
    "m3/s": "flow_m3h",
    "J": "energy_kwh",
    "kWh": "energy_kwh",
    "%EL": "battery_pct",
    "deg": "tilt_deg",
    "rad": "tilt_deg",
    "dBm": "rssi_dbm",
}
"""What a nameless value of a unit is taken for."""


def field_of_unit(unit: str | None) -> str:
    """Name a value that has no name of its own: by its unit, else by the unit's symbol, else ``value``."""
    if unit is None:
        return "value"
    return _MEASURE_OF.get(unit, unit)


def unit_of(field: str) -> str | None:
    """The SenML unit in which a field can be sent as it is, or ``None``."""
    candidates = _INTO.get(_suffix(field), {})
    return next((unit for unit, conversion in candidates.items() if conversion is _SAME), None)


def in_unit_of(field: str, unit: str, value: float) -> tuple[str, float]:
    """Return field and value in the unit that the field's name tells.

    A field whose name tells no unit of ours stays as it is. One whose name contradicts its unit (``tilt_deg`` in
    ``Pa``) becomes ``tilt_deg(Pa)``: kept and counted as unknown, never judged as degrees.
    """
    candidates = _INTO.get(_suffix(field))
    if candidates is None:
        return field, value
    conversion = candidates.get(unit)
    if conversion is None:
        return f"{field}({unit})", value
    if conversion is _SAME:
        return field, value
    converted = value * conversion.factor + conversion.offset
    return (field, converted) if math.isfinite(converted) else (f"{field}({unit})", value)


def _suffix(field: str) -> str:
    """The unit part of a measure's name; empty for a name without one."""
    return field.rpartition("_")[2] if "_" in field else ""
