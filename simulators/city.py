"""A city: assets and devices of every kind, laid out along its roads and sites the same for the same seed."""

import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from simulators.fleet import SERIALS, FleetDevice, aliases_of, trade_of
from simulators.habits import habit_of
from simulators.town import Spot, Town, plan_town

SHARES: Final[Mapping[str, int]] = {"streetlight": 35, "gas_meter": 25, "manhole": 22, "bin": 18}
"""How many of a hundred devices are of a kind."""
OTHER_SHARE: Final = 5
"""So many are, of a kind that is not listed."""

CIRCUIT: Final = "circuit"
"""Lamps on one feeder (回路), in the order in which they hang on it."""
SITE: Final = "site"
"""What stands at one place: the meters of a compound, the bins of a market."""
GATEWAY: Final = "gateway"
"""What one radio gateway (网关) hears: one for each community."""
GRID: Final = "grid"
"""What stands in one unit grid."""

_LAMPS: Final = (24, 60)
_LAMP_GAP: Final = 0.1
"""Cells between two lamps: 30 m."""
_METERS: Final = (40, 200)
_BINS: Final = (3, 10)
_COMPOUND: Final = "compound"
PLACES: Final = (_COMPOUND, "market", "park", "school", "mall", "office")
"""What sort of place a site is; it decides when its bins fill."""
_PLACES_ZH: Final = {
    _COMPOUND: "小区",
    "market": "菜市场",
    "park": "公园",
    "school": "学校",
    "mall": "商业街",
    "office": "写字楼",
}
_FLAT_DEG: Final = 5.0
"""A cover that was fitted at less than this needs no baseline of its own."""
_STEEPEST_DEG: Final = 8.0
_STEEP_SHARE: Final = 0.08


@dataclass(frozen=True, slots=True)
class City:
    """All that was laid out."""

    seed: int
    devices: list[FleetDevice]
    groups: dict[str, dict[str, list[str]]]
    """Sort of group → its name → names of the devices, in their order: circuits, sites, gateways, unit grids."""
    places: dict[str, str]
    """Site → what sort of place it is, of :data:`PLACES`."""


@dataclass(slots=True)
class _Works:
    """A city being built."""

    town: Town
    seed: int
    watch: Callable[[int], None]
    devices: list[FleetDevice] = field(default_factory=list[FleetDevice])
    groups: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: {CIRCUIT: {}, SITE: {}, GATEWAY: {}, GRID: {}}
    )
    places: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, device: FleetDevice, community: str) -> None:
        """Take a device in, and into its groups."""
        self.devices.append(device)
        member_of = {
            CIRCUIT: device.circuit,
            SITE: device.site,
            GATEWAY: f"GW-{community}",
            GRID: device.unit_grid,
        }
        for sort, name in member_of.items():
            if name is not None:
                self.groups[sort].setdefault(name, []).append(device.name)
        self.watch(len(self.devices))

    def site(self, place: str) -> str:
        """Open a site."""
        name = f"S-{len(self.places) + 1:05d}"
        self.places[name] = place
        return name


def count_kinds(devices: int, kinds: Sequence[DeviceKind]) -> dict[str, int]:
    """How many devices each kind gets: their shares, and the rest to those that lost most by rounding."""
    shares = {kind.key: SHARES.get(kind.key, OTHER_SHARE) for kind in kinds}
    whole = sum(shares.values())
    counts = {key: devices * share // whole for key, share in shares.items()}
    by_loss = sorted(shares, key=lambda key: -(devices * shares[key] % whole))
    for key in by_loss[: devices - sum(counts.values())]:
        counts[key] += 1
    return counts


def build_city(
    devices: int, kinds: Sequence[DeviceKind], *, seed: int, watch: Callable[[int], None] = lambda _: None
) -> City:
    """Lay out a city of so many devices; ``watch`` hears how many stand.

    Raises:
        InvalidInputError: there are more devices of a kind than component codes can number.
    """
    counts = count_kinds(devices, kinds)
    if max(counts.values()) >= SERIALS:
        raise InvalidInputError(f"six digits number no {max(counts.values())} components of one class")
    works = _Works(plan_town(devices), seed, watch)
    for kind in kinds:
        dice = random.Random(f"{seed}/city/{kind.key}")
        _PLACERS.get(kind.key, _scatter)(works, kind, counts[kind.key], dice)
    return City(seed, works.devices, works.groups, works.places)


def _string_lamps(works: _Works, kind: DeviceKind, count: int, dice: random.Random) -> None:
    """String lamps along roads, circuit by circuit."""
    circuit = ""
    left, x, y, dx, dy = 0, 0.0, 0.0, 0.0, 0.0
    for serial in range(1, count + 1):
        if not left:
            circuit = f"C-{len(works.groups[CIRCUIT]) + 1:04d}"
            left = dice.randint(*_LAMPS)
            x, y = _somewhere(works.town, dice)
            dx, dy = dice.choice(((_LAMP_GAP, 0.0), (0.0, _LAMP_GAP)))
        spot = works.town.spot(x, y)
        works.add(replace(_device(kind, serial, spot, dice), circuit=circuit), spot.community)
        left, x, y = left - 1, x + dx, y + dy


def _fill_sites(
    works: _Works, kind: DeviceKind, count: int, dice: random.Random, sizes: tuple[int, int], places: Sequence[str]
) -> None:
    """Put devices round sites of one sort or another."""
    site, left, x, y = "", 0, 0.0, 0.0
    for serial in range(1, count + 1):
        if not left:
            left = dice.randint(*sizes)
            site = works.site(dice.choice(places))
            x, y = _somewhere(works.town, dice)
        spot = works.town.spot(x + dice.uniform(-0.1, 0.1), y + dice.uniform(-0.1, 0.1))
        place = _PLACES_ZH[works.places[site]]
        works.add(replace(_device(kind, serial, spot, dice, place=place), site=site), spot.community)
        left -= 1


def _hang_meters(works: _Works, kind: DeviceKind, count: int, dice: random.Random) -> None:
    _fill_sites(works, kind, count, dice, _METERS, (_COMPOUND,))


def _stand_bins(works: _Works, kind: DeviceKind, count: int, dice: random.Random) -> None:
    _fill_sites(works, kind, count, dice, _BINS, PLACES)


def _fit_covers(works: _Works, kind: DeviceKind, count: int, dice: random.Random) -> None:
    """Fit covers all over town; some roads slope."""
    for serial in range(1, count + 1):
        spot = works.town.spot(*_somewhere(works.town, dice))
        steep = dice.random() < _STEEP_SHARE
        baseline = round(dice.uniform(_FLAT_DEG, _STEEPEST_DEG), 1) if steep else None
        works.add(_device(kind, serial, spot, dice, baseline_deg=baseline), spot.community)


def _scatter(works: _Works, kind: DeviceKind, count: int, dice: random.Random) -> None:
    """Put the devices of a kind that has no order of its own anywhere."""
    for serial in range(1, count + 1):
        spot = works.town.spot(*_somewhere(works.town, dice))
        works.add(_device(kind, serial, spot, dice), spot.community)


_PLACERS: Final[Mapping[str, Callable[[_Works, DeviceKind, int, random.Random], None]]] = {
    "streetlight": _string_lamps,
    "gas_meter": _hang_meters,
    "bin": _stand_bins,
    "manhole": _fit_covers,
}


def _somewhere(town: Town, dice: random.Random) -> tuple[float, float]:
    return dice.uniform(0.0, town.width), dice.uniform(0.0, town.height)


def _device(
    kind: DeviceKind,
    serial: int,
    spot: Spot,
    dice: random.Random,
    *,
    place: str | None = None,
    baseline_deg: float | None = None,
) -> FleetDevice:
    trade = trade_of(kind)
    code = None if kind.component_class is None else f"{spot.district.code}{kind.component_class}{serial:06d}"
    owner, keeper = (who.replace("达川区", spot.district.name) for who in (trade.owner, trade.keeper))
    where = f"{spot.district.name}{spot.street}{spot.road}{dice.randrange(1, 400)}号"
    return FleetDevice(
        name=f"{kind.key}-{serial:06d}",
        kind=kind.key,
        district=spot.district.code,
        asset=f"{trade.asset_prefix}-{serial:06d}",
        component_code=code,
        unit_grid=spot.unit_grid,
        longitude=spot.longitude,
        latitude=spot.latitude,
        address=f"{where}{place or ''}{trade.place}",
        owner=owner,
        keeper=keeper,
        interval_s=habit_of(kind, serial).interval_s,
        baseline_deg=baseline_deg,
        aliases=aliases_of(kind, serial),
    )


def serial_of(name: str) -> int:
    """The number of a device of a city; of any other name a number that stays the same."""
    tail = name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else zlib.crc32(name.encode())


def members_of(city: City, sort: str) -> Iterator[tuple[str, list[str]]]:
    """The groups of one sort, by name."""
    yield from sorted(city.groups.get(sort, {}).items())
