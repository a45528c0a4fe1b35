"""The layout of a simulated fleet: which devices there are, what they are fitted to, and where in 达川 they stand."""

import math
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from devices.kind import DeviceKind
from domain.device import DISTRICT_CODE
from domain.errors import InvalidInputError

DISTRICT: Final = "511703"
"""达川区 of 达州, Sichuan."""
CENTRE: Final = (107.507, 31.196)
"""Longitude and latitude of its middle, degrees WGS-84."""
SERIALS: Final = 10**6
"""Component codes number the components of one class with six digits."""

_CELLS: Final = 16
"""The town is a square of 16 × 16 unit grids (单元网格) of 300 m: 4 streets, each of 4 communities of 16 grids."""
_CELL_DEG: Final = 0.003

_MAKER: Final = "24e124"
"""First half of the devEUIs: a maker of LoRaWAN sensors; kind and serial follow in five hexadecimal digits each."""

_STREETS: Final = ("三里坪街道", "翠屏街道", "杨柳街道", "斌郎街道")
_ROADS: Final = ("华蜀北路", "汉兴大道", "仙鹤路", "翠屏路", "南滨路", "石龙溪路", "建设路", "金兰路")


@dataclass(frozen=True, slots=True)
class Trade:
    """How the city numbers one kind of asset, and who answers for it."""

    asset_prefix: str
    """Pinyin initials before the asset's number: 井盖 is ``JG``."""
    place: str
    """How an address ends for it."""
    owner: str
    """权属单位."""
    keeper: str
    """养护单位."""


TRADES: Final[Mapping[str, Trade]] = {
    "manhole": Trade("JG", "门前车行道", "达川区住房和城乡建设局", "达川区市政设施养护中心"),
    "bin": Trade("LX", "旁人行道", "达川区综合行政执法局", "达川区环境卫生管理所"),
    "streetlight": Trade("LD", "灯杆", "达川区住房和城乡建设局", "达川区路灯管理所"),
    "gas_meter": Trade("RB", "住宅楼", "达川区燃气公司", "达川区燃气公司安检所"),
}
"""A kind that is not listed is numbered by its key's initials and kept by the district."""


@dataclass(frozen=True, slots=True)
class FleetDevice:
    """One simulated device with its asset: a line of the registry."""

    name: str
    kind: str
    district: str
    asset: str
    component_code: str | None = None
    """District, class, serial: 16 digits; ``None`` for what is no city component, such as a household meter."""
    unit_grid: str | None = None
    """District, street, community, grid: 15 digits."""
    longitude: float | None = None
    """Degrees, WGS-84."""
    latitude: float | None = None
    """Degrees, WGS-84."""
    address: str | None = None
    owner: str | None = None
    keeper: str | None = None
    site: str | None = None
    """The place it stands at with others (场所)."""
    circuit: str | None = None
    """The feeder it hangs on (回路)."""
    interval_s: float | None = None
    """Expected seconds between two reports; ``None`` takes the kind's."""
    baseline_deg: float | None = None
    """Tilt at which it was fitted (安装初始角度), where that is not near zero."""
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    """Source → the device's identity there; the native source needs none."""
    simulated: bool = True
    """Whether the registry marks it so; a registry from elsewhere may hold real devices."""

    def alias(self, source: str) -> str | None:
        """Return the device's identity in the namespace of a source, if it has one."""
        return self.name if source == "native" else self.aliases.get(source)


def lay_out(
    count: int,
    kinds: Sequence[DeviceKind],
    *,
    seed: int,
    district: str = DISTRICT,
    first: int = 1,
    interval_s: float | None = None,
) -> Iterator[FleetDevice]:
    """Lay out ``count`` devices, the kinds in turn; the same arguments give the same fleet, a longer one begins so too.

    ``first`` is the number of the first device of each kind, so that a second fleet can stand beside a first one.

    Raises:
        InvalidInputError: the district is no division code, or the numbers do not suffice for so many devices.
    """
    if not DISTRICT_CODE.fullmatch(district):
        raise InvalidInputError(f"the district must be a division code of 6 digits, not {district!r}")
    if first < 1 or first + math.ceil(count / len(kinds)) > SERIALS:
        raise InvalidInputError(f"six digits number no {count} devices of {len(kinds)} kinds from {first} on")
    return (
        _place(kinds[index % len(kinds)], first + index // len(kinds), seed, district, interval_s)
        for index in range(count)
    )


def _place(kind: DeviceKind, serial: int, seed: int, district: str, interval_s: float | None) -> FleetDevice:
    """One device of a kind, somewhere in town: everything about it follows from seed, kind and serial."""
    name = f"{kind.key}-{serial:06d}"
    dice = random.Random(f"{seed}/{name}/place")
    row, column = dice.randrange(_CELLS), dice.randrange(_CELLS)
    trade = trade_of(kind)
    street, unit_grid = _unit_grid(district, row, column)
    road = _ROADS[dice.choice((row, column)) % len(_ROADS)]
    return FleetDevice(
        name=name,
        kind=kind.key,
        district=district,
        asset=f"{trade.asset_prefix}-{serial:06d}",
        component_code=None if kind.component_class is None else f"{district}{kind.component_class}{serial:06d}",
        unit_grid=unit_grid,
        longitude=round(CENTRE[0] + (column - _CELLS / 2 + dice.random()) * _CELL_DEG, 6),
        latitude=round(CENTRE[1] + (row - _CELLS / 2 + dice.random()) * _CELL_DEG, 6),
        address=f"达川区{street}{road}{dice.randrange(1, 400)}号{trade.place}",
        owner=trade.owner,
        keeper=trade.keeper,
        interval_s=interval_s,
        aliases=aliases_of(kind, serial),
    )


def aliases_of(kind: DeviceKind, serial: int) -> dict[str, str]:
    """Identity of the device of a kind and number in the sources that have names of their own."""
    eui = f"{_MAKER}{zlib.crc32(kind.key.encode()) & 0xFFFFF:05x}{serial:05x}"
    return {"chirpstack_v4": eui, "senml": f"urn:dev:mac:{eui}"}


def _unit_grid(district: str, row: int, column: int) -> tuple[str, str]:
    """Street and unit grid code of a cell: district 6, street 3, community 3, grid 3 digits."""
    half, quarter = _CELLS // 2, _CELLS // 4
    street = 2 * (row // half) + column // half
    community = 1 + 2 * (row % half // quarter) + column % half // quarter
    grid = 1 + row % quarter * quarter + column % quarter
    return _STREETS[street], f"{district}{street + 1:03d}{community:03d}{grid:03d}"


def trade_of(kind: DeviceKind) -> Trade:
    """How the assets of a kind are numbered, and who answers for them."""
    if kind.key in TRADES:
        return TRADES[kind.key]
    initials = "".join(word[0] for word in kind.key.split("_")).upper()
    return Trade(initials, "旁", "达川区城市管理局", "达川区市政设施养护中心")
