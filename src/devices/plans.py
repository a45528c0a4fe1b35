"""Plans: what judges a device of a kind, with its interval and the overrides that are its own or its groups'."""

from functools import partial

import orjson

from devices.kind import DeviceKind
from domain.device import Device
from rules.plan import Plan, make_plan
from rules.rule import RuleOverrideError
from rules.surroundings import Surroundings


def interval_of(kind: DeviceKind, device: Device) -> float:
    """Expected seconds between two of its reports."""
    return device.interval_s or kind.interval_s


def plan_of(kind: DeviceKind, interval_s: float, settled: bytes, surroundings: Surroundings | None = None) -> Plan:
    """The plan by overrides as ``GroupOverrides.settle`` gives them, at a place."""
    make = partial(
        make_plan,
        kind.rules,
        interval_s=interval_s,
        validity_factor=kind.validity_factor,
        surroundings=surroundings,
    )
    try:
        return make(overrides=orjson.loads(settled) if settled else {})
    except (RuleOverrideError, OverflowError, ValueError):
        # Each fits its rule, and still no plan can be made of them: the stream must not stop.
        return make(overrides={})
