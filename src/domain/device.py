"""Device and asset: the sensor, and the thing in the street that it is fitted to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DEVICE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a device may be called: it stands in a topic level, so no slash, space, plus or hash."""

DISTRICT_CODE: Final = re.compile(r"[0-9]{6}")
"""行政区划代码 (GB/T 2260): six digits."""


class LifeCycle(StrEnum):
    """Where a device stands in its life (设备生命周期)."""

    REGISTERED = "registered"
    """Known, not yet heard or fitted."""
    IN_SERVICE = "in_service"
    """Fitted and expected to report."""
    SUSPENDED = "suspended"
    """Taken out for a while: its readings are stored, not judged."""
    RETIRED = "retired"
    """Gone for good: what it still sends is quarantined."""


@dataclass(frozen=True, slots=True)
class Device:
    """A sensor as the registry knows it."""

    id: int
    name: str
    kind: str
    district: str
    life_cycle: LifeCycle = LifeCycle.IN_SERVICE
    asset_id: int | None = None
    """The asset it is fitted to now, if any."""
    interval_s: float | None = None
    """Expected seconds between two reports; ``None`` takes the kind's."""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """Vendor's field name → measure, for payloads whose decoder speaks its own words."""
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    """Rule key → parameter → value, where this device departs from the rule."""
    simulated: bool = False
    """Played by the simulator or in a drill (演练)."""
    model: str | None = None
    """Vendor and model (设备型号)."""
    owner: str | None = None
    """权属单位 of its asset; this and what follows belong to the asset it is fitted to now."""
    unit_grid: str | None = None
    """单元网格标识码: 15 digits."""
    circuit: str | None = None
    """回路."""
    site: str | None = None
    """场所."""
    longitude: float | None = None
    """Degrees, WGS-84."""
    latitude: float | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A component (部件) of the city: a cover, a bin, a lamp, a meter. It may have no sensor at all."""

    id: int
    name: str
    """Number the district gives it (一井一编号); unique in the service."""
    kind: str
    district: str
    component_code: str | None = None
    """部件标识码: 16 digits."""
    unit_grid: str | None = None
    """单元网格标识码: 15 digits."""
    longitude: float | None = None
    """Degrees, WGS-84/CGCS2000."""
    latitude: float | None = None
    """Degrees, WGS-84/CGCS2000."""
    address: str | None = None
    owner: str | None = None
    """权属单位."""
    keeper: str | None = None
    """养护单位."""
    site: str | None = None
    """The place it stands at with others (场所): a compound, a market, a pumping station."""
    circuit: str | None = None
    """The feeder it hangs on (回路)."""
