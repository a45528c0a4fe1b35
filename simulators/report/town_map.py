"""The map: where the devices stand, and where something was missed or invented."""

import math
from collections import defaultdict
from typing import Final

from simulators.report.svg import dots, picture
from simulators.scoring.facts import Facts
from simulators.scoring.match import Outcome, Verdict
from simulators.scoring.score import Score

WIDTH: Final = 960.0
_EDGE: Final = 16.0
_TALLEST: Final = 720.0
_LAYERS: Final = ("calm", "met", "late", "invented", "forbidden", "missed")
"""From the lowest to the uppermost: what needs a look must not be hidden."""


def town_map(score: Score, facts: Facts) -> str | None:
    """Draw every device whose place is known, coloured by the worst of it; ``None`` where none is."""
    places = {name: device.place for name, device in facts.devices.items() if device.place is not None}
    if not places:
        return None
    fates = _fates(score)
    west, east = min(x for x, _ in places.values()), max(x for x, _ in places.values())
    south, north = min(y for _, y in places.values()), max(y for _, y in places.values())
    # A degree of longitude is shorter than one of latitude, by the cosine of the latitude.
    squeeze = math.cos(math.radians((south + north) / 2))
    wide, tall = max((east - west) * squeeze, 1e-9), max(north - south, 1e-9)
    scale = min((WIDTH - 2 * _EDGE) / wide, (_TALLEST - 2 * _EDGE) / tall)
    left = (WIDTH - wide * scale) / 2
    layers: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, (longitude, latitude) in places.items():
        spot = left + (longitude - west) * squeeze * scale, _EDGE + (north - latitude) * scale
        layers[fates.get(name, "calm")].append(spot)
    told = "; ".join(f"{layer}: {len(layers[layer])}" for layer in _LAYERS if layers[layer])
    parts = [dots(layers[layer], f"dot {layer}") for layer in _LAYERS]
    return picture(WIDTH, tall * scale + 2 * _EDGE, "Map of the devices 设备分布图", told, parts)


def _fates(score: Score) -> dict[str, str]:
    """The worst that is to say of each device."""
    ranks = {layer: rank for rank, layer in enumerate(_LAYERS)}
    outcomes = {Outcome.MET: "met", Outcome.LATE: "late", Outcome.MISSED: "missed", Outcome.UNDUE: "calm"}
    verdicts = {Verdict.INVENTED: "invented", Verdict.FORBIDDEN: "forbidden"}
    fates: dict[str, str] = {}
    told = [
        *((answer.expected.device, outcomes[answer.outcome]) for answer in score.matching.answers if answer.counts),
        *((judged.alert.device, verdicts.get(judged.verdict, "calm")) for judged in score.matching.judged),
    ]
    for device, fate in told:
        if ranks[fate] > ranks[fates.get(device, "calm")]:
            fates[device] = fate
    return fates
