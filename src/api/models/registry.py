"""Assets, devices and fittings over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.fields import Moment
from api.models.alerts import Alert
from api.pages import from_microseconds
from domain.clock_health import ClockDay, ClockVerdict, clock_health
from domain.device import LifeCycle
from store.alert_views import AlertRow
from store.registry_views import AssetRow, DeviceRow, FittingRow

_ASSET: Final[JsonDict] = {
    "name": "JG-000815",
    "kind": "manhole",
    "district": "511703",
    "component_code": "5117030102000815",
    "unit_grid": "511703001002015",
    "longitude": 107.507,
    "latitude": 31.196,
    "address": "达川区南外镇华阳路 12 号",
    "owner": "达川区排水公司",
    "keeper": "达川区市政养护所",
    "site": "S-00012",
    "circuit": None,
    "attributes": {"depth_m": 2.4, "anti_fall_net": True},
}
_DEVICE: Final[JsonDict] = {
    "name": "mh-0815",
    "kind": "manhole",
    "district": "511703",
    "asset": "JG-000815",
    "aliases": {"chirpstack_v4": "24e124468c321234"},
    "overrides": {"manhole.tilt": {"baseline": 3.5}},
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssetFields(_Strict):
    """What may be told of an asset later on too."""

    component_code: str | None = Field(default=None, description="部件标识码, 16 digits; no two assets share one.")
    unit_grid: str | None = Field(default=None, description="单元网格标识码, 15 digits.")
    longitude: float | None = Field(default=None, description="Degrees, WGS-84 or CGCS2000.")
    latitude: float | None = Field(default=None, description="Degrees, WGS-84 or CGCS2000.")
    source_datum: str | None = Field(default=None, description="wgs84 (left out) or cgcs2000.")
    address: str | None = None
    owner: str | None = Field(default=None, description="权属单位.")
    keeper: str | None = Field(default=None, description="养护单位.")
    site: str | None = Field(default=None, description="Place it stands at with others (场所).")
    circuit: str | None = Field(default=None, description="Feeder it hangs on (回路).")
    attributes: dict[str, Any] | None = Field(default=None, description="What else is known: depth, waste type …")


class NewAsset(AssetFields):
    """An asset (部件): a cover, a bin, a lamp, a meter; it may have no sensor."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _ASSET})

    name: str = Field(description="The number the district gives it (一井一编号): unique, never changed.")
    kind: str
    district: str = Field(description="行政区划代码, six digits.")


class AssetPatch(AssetFields):
    """What shall be different; what is left out stays, null empties."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"keeper": "达川区市政养护所"}})

    district: str = ""


class Asset(BaseModel):
    """An asset as the registry has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **_ASSET,
                "source_datum": "wgs84",
                "devices": ["mh-0815"],
                "created_at": "2026-11-01T02:00:00Z",
                "updated_at": "2026-11-01T02:00:00Z",
            }
        }
    )

    name: str
    kind: str
    district: str
    component_code: str | None
    unit_grid: str | None
    longitude: float | None
    latitude: float | None
    source_datum: str
    address: str | None
    owner: str | None
    keeper: str | None
    site: str | None
    circuit: str | None
    attributes: Mapping[str, Any]
    devices: Sequence[str] = Field(description="Fitted to it now.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: AssetRow) -> Self:
        """Shape one row."""
        fields = row._asdict()
        del fields["id"]
        return cls(**{**fields, "attributes": orjson.loads(row.attributes)})


class DeviceFields(_Strict):
    """What may be told of a device later on too."""

    life_cycle: LifeCycle | None = None
    model: str | None = Field(default=None, description="Vendor and model.")
    interval_s: float | None = Field(
        default=None, description="Expected seconds between two reports; null: the kind's."
    )
    fields: dict[str, str] | None = Field(default=None, description="The vendor's field name → measure of the kind.")
    overrides: dict[str, dict[str, Any]] | None = Field(
        default=None, description="Rule → parameter → value, where this device departs from the rule."
    )
    aliases: dict[str, str] | None = Field(default=None, description="Source → how that source names the device.")
    simulated: bool | None = None


class NewDevice(DeviceFields):
    """A sensor, fitted to an asset that is there already (by name) or comes along."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _DEVICE})

    name: str = Field(description="1 to 64 of A-Z a-z 0-9 . _ -: unique, never changed.")
    kind: str
    district: str = Field(description="Six digits; stands in its MQTT topic.")
    asset: str | NewAsset | None = None
    fitted_from: Moment | None = Field(default=None, description="Left out: now.")


class DevicePatch(DeviceFields):
    """What shall be different; what is left out stays, null empties."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"interval_s": 3600}})

    district: str = ""


class Device(BaseModel):
    """A device as the registry has it, and when it was last heard."""

    name: str = Field(examples=["mh-0815"])
    kind: str = Field(examples=["manhole"])
    district: str = Field(examples=["511703"])
    life_cycle: LifeCycle
    asset: str | None = Field(examples=["JG-000815"])
    model: str | None
    interval_s: float | None
    fields: Mapping[str, str]
    overrides: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, Sequence[str]] = Field(examples=[{"native": ["mh-0815"]}])
    simulated: bool
    last_at: datetime | None = Field(description="Event time of the newest reading.")
    heard_at: datetime | None = Field(description="When the last message came in.")
    online: bool | None = Field(description="As its status topic last told; null if it never told.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: DeviceRow) -> Self:
        """Shape one row."""
        return cls(**_device(row))


class MeasureState(BaseModel):
    """The newest value of one measure."""

    value: float | bool = Field(examples=[1.4])
    at: datetime = Field(description="Event time of the reading it came with.")


class DeviceState(BaseModel):
    """The present of a device."""

    measures: Mapping[str, MeasureState]
    source: str | None = Field(description="By which source it was last heard.")
    seq: int | None = Field(description="Its own counter.")
    readings: int
    late: int = Field(description="Readings that came after a newer one.")
    missed: int = Field(description="Numbers its own counter skipped that never came: lost before they reached us.")
    online_at: datetime | None
    firing: list[Alert]


class Fitting(BaseModel):
    """From when to when a device sat on an asset."""

    asset: str = Field(examples=["JG-000815"])
    fitted_from: datetime
    fitted_until: datetime | None


class DeviceClock(BaseModel):
    """How a device's own clock stands to ours, by the last two weeks (时钟健康)."""

    verdict: ClockVerdict = Field(
        description="`shifted_8h`: local time sent as UTC, or the reverse. `behind`: even the quickest message of the "
        "day came so late."
    )
    offset_s: float | None = Field(description="Seconds ahead of ours; negative: behind, the way to us included.")
    drift_s_per_day: float | None = Field(description="Seconds gained a day; null with less than four days.")
    refused: int = Field(description="Readings refused because their time lay too far ahead.")
    samples: int

    @classmethod
    def of(cls, days: Sequence[ClockDay]) -> Self:
        """Judge and shape."""
        return cls(**clock_health(days)._asdict())


class DoubtfulClock(DeviceClock):
    """A device whose clock is not to be trusted."""

    device: str
    kind: str


class DeviceDetail(Device):
    """One device with its present and its history of fittings, the latest first."""

    state: DeviceState
    clock: DeviceClock
    fittings: list[Fitting]

    @classmethod
    def whole(
        cls, row: DeviceRow, firing: Sequence[AlertRow], fittings: Sequence[FittingRow], clock: Sequence[ClockDay]
    ) -> Self:
        """Shape one device with what belongs to it."""
        state = DeviceState(
            measures=_measures(row.measures),
            source=row.source,
            seq=row.seq,
            readings=row.readings,
            late=row.late,
            missed=row.missed,
            online_at=row.online_at,
            firing=[Alert.of(alert) for alert in firing],
        )
        return cls(
            **_device(row),
            state=state,
            clock=DeviceClock.of(clock),
            fittings=[Fitting(**fitting._asdict()) for fitting in fittings],
        )


class NewFitting(_Strict):
    """Where a device sits from now on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"asset": "JG-000815", "from": "2026-11-22T08:00:00Z"}}
    )

    asset: str = Field(max_length=200, pattern=r"^[^\x00]*$")
    since: Moment | None = Field(default=None, alias="from", description="Left out: now.")


class FittingEnd(_Strict):
    """When a device was taken off."""

    until: Moment | None = Field(default=None, description="Left out: now.")


def _measures(stored: bytes | None) -> dict[str, MeasureState]:
    """Read measure → [value, time in µs since 1970, digest]."""
    held: dict[str, tuple[Any, int, int]] = orjson.loads(stored) if stored else {}
    return {name: MeasureState(value=value, at=from_microseconds(at)) for name, (value, at, _) in held.items()}


def _device(row: DeviceRow) -> dict[str, Any]:
    aliases: dict[str, list[str]] = {}
    for pair in row.aliases:
        source, _, alias = pair.partition("=")
        aliases.setdefault(source, []).append(alias)
    return {
        "name": row.name,
        "kind": row.kind,
        "district": row.district,
        "life_cycle": row.life_cycle,
        "asset": row.asset,
        "model": row.model,
        "interval_s": row.interval_s,
        "fields": orjson.loads(row.fields),
        "overrides": orjson.loads(row.overrides),
        "aliases": aliases,
        "simulated": row.simulated,
        "last_at": row.last_at,
        "heard_at": row.heard_at,
        "online": row.online,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
