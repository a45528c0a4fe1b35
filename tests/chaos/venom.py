"""What a broken, careless or hostile publisher sends: garbage of every sort, and bytes that are nothing at all."""

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import orjson

from tests.chaos.stream import DISTRICT

DEVICE: Final = "poison-00001"
"""Registered, so that what it sends is believed as far as the database: the worst source there is."""

_DEEP: Final = b'{"values":' + b"[" * 20_000
_LARGE: Final = b'{"values":{"tilt_deg":1.0,"pad":"' + b"x" * 90_000 + b'"}}'
_TREES: Final = ("city/v1/{0}/{1}/{2}/{3}", "senml/{0}/{1}", "application/{0}/device/{1}/event/{2}")
_LEVELS: Final = (
    DISTRICT,
    "000000",
    "manhole",
    "service",
    "telemetry",
    "status",
    "event",
    "heartbeat",
    "up",
    "24e1240000000001",
    DEVICE,
    "井盖",
    "\u202e",
    "a" * 300,
    "",
)
_NUMBERS: Final = (
    b"1e309",
    b"-0",
    b"9" * 400,
    b"18446744073709551616",
    b"1.7976931348623157e308",
    b"NaN",
    b"1e-400",
)
_LAST_DAY: Final = b'"9999-12-31T23:59:59-23:59"'
_TEXTS: Final = (
    rb'"\u0000"',
    rb'"\ud800"',
    rb'"\udfff\ud800"',
    b'"\xed\xa0\x80"',
    rb'"\u202e"',
    b'""',
    b'"' + b"k" * 5000 + b'"',
)


class Venom(NamedTuple):
    """One message."""

    topic: str
    payload: bytes
    retain: bool = False


def _topic(device: str, leaf: str = "telemetry") -> str:
    return f"city/v1/{DISTRICT}/manhole/{device}/{leaf}"


def poison(seed: int) -> Iterator[Venom]:
    """Without end: each sort that has its own way through the service, in turn."""
    dice = random.Random(seed)
    number = 0
    while True:
        number += 1
        at = orjson.dumps({"tilt_deg": 1.0, "n": number})
        yield Venom(_topic(DEVICE), b"\x00\xff garbage %d" % number)
        yield Venom(_topic(DEVICE), b"always the same garbage")
        yield Venom(_topic(DEVICE), b'{"seq":%d,"values":{"tilt_deg":1.0,"note":"zero \\u0000"}}' % number)
        yield Venom(_topic(DEVICE), b'{"seq":%d,"values":{"tilt_deg":1.0,"\\u0000":1}}' % number)
        yield Venom(_topic(f"stranger-{dice.randrange(10**9)}"), b'{"values":%b}' % at)
        yield Venom(_topic("stranger"), b'{"values":%b}' % at)
        yield Venom(_topic(DEVICE, "event"), b'{"class":"zero","values":{"note":"\\u0000 %d"}}' % number)
        yield Venom(_topic(DEVICE), b'{"ts":%d,"values":%b}' % (number, at))
        yield Venom(_topic(DEVICE), b'{"values":{"nothing_known":%d}}' % number)
        if number % 20 == 0:
            # Less often: these are felt by the network more than by the service.
            yield Venom(_topic(DEVICE), b"%b%d" % (_DEEP, number))
            yield Venom(_topic(DEVICE), _LARGE + b" " * (number % 100))


def noise(seed: int) -> Iterator[Venom]:
    """Without end: random topics below every filter, random payloads; some empty, retained, torn, absurd."""
    dice = random.Random(seed)
    while True:
        tree = dice.choice(_TREES)
        levels = [dice.choice(_LEVELS) or "-" for _ in range(4)]
        topic = _topic(DEVICE) if dice.random() < 0.3 else tree.format(*levels)  # a share
        yield Venom(topic, _payload(dice), retain=dice.random() < 0.05)  # a share


def _torn_pack(dice: random.Random) -> bytes:
    pack = orjson.dumps([{"bn": "urn:dev:mac:0024befffe804ff1", "n": "tilt", "v": dice.random() * 1e300}] * 40)
    return pack[: dice.randrange(len(pack))]


_PAYLOADS: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    lambda _: b"",
    lambda dice: dice.randbytes(dice.randrange(1, 200)),
    lambda dice: b'{"values":{"tilt_deg":%b}}' % dice.choice(_NUMBERS),
    lambda dice: b'{"values":{"tilt_deg":1,%b:%b}}' % (dice.choice(_TEXTS), dice.choice(_TEXTS)),
    lambda dice: b'{"ts":%b,"values":{"tilt_deg":1}}' % dice.choice((*_NUMBERS, *_TEXTS, _LAST_DAY)),
    lambda dice: b"[" * dice.randrange(1, 40_000),
    _torn_pack,
    lambda dice: b'{"values":{"tilt_deg":1,"pad":"%b"}}' % (b"x" * dice.choice((10, 60_000, 70_000, 200_000))),
)


def _payload(dice: random.Random) -> bytes:
    return dice.choice(_PAYLOADS)(dice)
