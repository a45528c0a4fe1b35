"""DeviceKind: measures with units and physical limits, intervals, default rules and the faults that can be played."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.reading import MeasureValue
from rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity a kind of device reports; the name tells the unit."""

    name: str
    """For example ``tilt_deg``: the quantity and its unit."""
    title: str
    """English name."""
    title_zh: str
    """Chinese term of the trade."""
    unit: str
    """Unit as people write it; empty for booleans."""
    low: float = 0.0
    """Smallest physically possible value, inclusive."""
    high: float = 1.0
    """Largest physically possible value, inclusive."""
    boolean: bool = False
    rest: MeasureValue = 0.0
    """Typical value of a healthy device: where the simulator starts."""
    swing: float = 0.0
    """Half width of the healthy daily swing, in the unit."""
    noise: float = 0.0
    """Standard deviation of the healthy noise, in the unit."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a device or its asset fails, as the simulator plays it and the tests expect it."""

    key: str
    """For example ``opened``."""
    title: str
    title_zh: str
    values: Mapping[str, MeasureValue] = field(default_factory=dict[str, MeasureValue])
    """Measures that take these values while the fault lasts."""
    silent: bool = False
    """The device says nothing while the fault lasts."""
    raises: tuple[str, ...] = ()
    """Keys of the default rules that must fire."""


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """Everything the service knows of one kind of device: one file, one constant."""

    key: str
    """For example ``manhole``: stands in topics and rule keys."""
    title: str
    title_zh: str
    measures: tuple[Measure, ...]
    interval_s: float
    """Expected seconds between two reports of a healthy device."""
    rules: tuple[Rule, ...]
    """Judged by default."""
    faults: tuple[Fault, ...]
    component_class: str | None = None
    """Small class of the component (部件小类, four digits, 2013 style), if the asset has one."""
    validity_factor: float = 1.5
    """A reading stays valid for this many intervals."""
