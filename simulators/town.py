"""The town: districts (区), streets (街道), communities (社区), unit grids (单元网格): their codes and places."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from simulators.fleet import CENTRE

CELL_DEG: Final = 0.003
"""Side of a unit grid in degrees: about 300 m."""
STREET_CELLS: Final = 8
"""A street's land is 8 × 8 unit grids: four communities of 4 × 4."""
DEVICES_A_STREET: Final = 3_200
"""50 in a unit grid. 100,000 devices make 32 streets."""

_QUARTER: Final = STREET_CELLS // 2
_MOST_STREETS: Final = 999


class District(NamedTuple):
    """One district of the city, with the names that its streets and roads bear."""

    code: str
    """行政区划代码, six digits."""
    name: str
    streets: tuple[str, ...]


DISTRICTS: Final = (
    District(
        "511703",
        "达川区",
        ("三里坪街道", "翠屏街道", "杨柳街道", "斌郎街道", "明月江街道", "石桥街道", "石梯街道", "亭子街道"),
    ),
    District(
        "511702",
        "通川区",
        ("东城街道", "西城街道", "朝阳街道", "凤西街道", "凤北街道", "北外街道", "罗江街道", "复兴街道"),
    ),
)
ROADS: Final = (
    "华蜀北路",
    "汉兴大道",
    "仙鹤路",
    "翠屏路",
    "南滨路",
    "石龙溪路",
    "建设路",
    "金兰路",
    "朝阳路",
    "凤凰大道",
    "滨河路",
    "通州大道",
)


class Spot(NamedTuple):
    """A place in town."""

    longitude: float
    """Degrees, WGS-84."""
    latitude: float
    """Degrees, WGS-84."""
    district: District
    street: str
    community: str
    """Code of the community: 12 digits."""
    unit_grid: str
    """Code of the unit grid: 15 digits."""
    road: str


@dataclass(frozen=True, slots=True)
class Town:
    """A rectangle of unit grids, the second district north of the first; ``x``, ``y`` count cells from its corner."""

    streets: int
    """In each district."""
    wide: int
    """Streets side by side in a district."""
    districts: int

    @property
    def width(self) -> float:
        """Cells from west to east."""
        return float(self.wide * STREET_CELLS)

    @property
    def height(self) -> float:
        """Cells from south to north."""
        return float(self.districts * (self.streets // self.wide) * STREET_CELLS)

    def spot(self, x: float, y: float) -> Spot:
        """What stands at a place; beyond the town's edge one comes back as from a mirror."""
        x, y = _mirrored(x, self.width), _mirrored(y, self.height)
        column, row = int(x), int(y)
        rows = self.streets // self.wide * STREET_CELLS
        district = DISTRICTS[row // rows]
        number = row % rows // STREET_CELLS * self.wide + column // STREET_CELLS
        in_row, in_column = row % STREET_CELLS, column % STREET_CELLS
        community = 1 + 2 * (in_row // _QUARTER) + in_column // _QUARTER
        grid = 1 + in_row % _QUARTER * _QUARTER + in_column % _QUARTER
        known = district.streets
        name = known[number] if number < len(known) else f"{known[number % len(known)][:-2]}{number // len(known)}街道"
        code = f"{district.code}{number + 1:03d}{community:03d}"
        return Spot(
            longitude=round(CENTRE[0] + (x - self.width / 2) * CELL_DEG, 6),
            latitude=round(CENTRE[1] + (y - self.height / 2) * CELL_DEG, 6),
            district=district,
            street=name,
            community=code,
            unit_grid=f"{code}{grid:03d}",
            road=ROADS[(row if column % 2 else column) % len(ROADS)],
        )


def plan_town(devices: int) -> Town:
    """Plan a town that is large enough for so many devices: one district while one street holds them all."""
    needed = max(1, math.ceil(devices / DEVICES_A_STREET))
    districts = 1 if needed == 1 else len(DISTRICTS)
    each = math.ceil(needed / districts)
    wide = math.isqrt(each - 1) + 1
    streets = wide * math.ceil(each / wide)
    return Town(streets=min(streets, _MOST_STREETS // wide * wide), wide=wide, districts=districts)


def _mirrored(value: float, size: float) -> float:
    """Fold a coordinate back into the town."""
    value %= 2 * size
    folded = 2 * size - value if value >= size else value
    return min(folded, math.nextafter(size, 0.0))
