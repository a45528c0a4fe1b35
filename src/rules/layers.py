"""Layers: what model, owner, grid, circuit, site and device set differently in a rule, laid one over the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import orjson

from domain.device import Device
from domain.scope import Group, Scope, groups_of
from rules.rule import Rule, RuleOverrideError

Parameters = Mapping[str, object]
"""Parameter → value; under the name of a level, its fields."""

_SETTLED: Final = 50_000
"""Combinations of groups and devices' own overrides whose outcome is remembered; some hundred bytes each."""


class Layer(NamedTuple):
    """What one of them sets."""

    scope: Scope
    name: str
    parameters: Parameters


class Refusal(NamedTuple):
    """A layer that does not fit the rule over the weaker ones, and why: it is left out, and they judge."""

    layer: Layer
    why: str


@dataclass(frozen=True, slots=True)
class Layered:
    """A rule as it applies, and what made it so."""

    rule: Rule
    parameters: Parameters
    """All that is set, merged."""
    taken: tuple[Layer, ...]
    """Weakest first."""
    refused: tuple[Refusal, ...]


def lay(rule: Rule, layers: Iterable[Layer]) -> Layered:
    """Lay the layers over the rule, weakest first; the fields of a level are merged one by one.

    A layer was checked when it was written. One that no longer fits, because the rule or a weaker layer changed since,
    must not stop the stream.
    """
    applied, parameters = rule, dict[str, object]()
    taken: list[Layer] = []
    refused: list[Refusal] = []
    for layer in layers:
        together = laid_over(parameters, layer.parameters)
        try:
            # All of it on the rule itself: layer on layer, a band might have no inside for a moment.
            condition = rule.condition.overridden(together)
        except (RuleOverrideError, OverflowError, ValueError) as error:
            refused.append(Refusal(layer, str(error)))
            continue
        parameters = together
        applied = replace(rule, condition=condition)
        taken.append(layer)
    return Layered(applied, parameters, tuple(taken), tuple(refused))


def laid_over(weaker: Mapping[str, object], stronger: Mapping[str, object]) -> dict[str, object]:
    """Both together: where they name the same parameter the stronger one's counts, and levels merge field by field."""
    together = dict(weaker)
    for name, value in stronger.items():
        below = together.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            fields: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
            fields_below: Mapping[str, Any] = below  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
            together[name] = laid_over(fields_below, fields)
        else:
            together[name] = value
    return together


@dataclass(slots=True)
class GroupOverrides:
    """What groups set differently, as read at one moment."""

    groups: Mapping[Group, Mapping[str, Parameters]] = field(default_factory=dict[Group, Mapping[str, Parameters]])
    """Group → rule → parameters."""
    _settled: dict[tuple[str, tuple[Group, ...], bytes], bytes] = field(
        default_factory=dict[tuple[str, tuple[Group, ...], bytes], bytes]
    )

    def layers(self, rule: str, device: Device) -> list[Layer]:
        """The layers of one rule for a device, weakest first."""
        found = [
            Layer(*group, self.groups[group][rule]) for group in groups_of(device) if rule in self.groups.get(group, ())
        ]
        own = device.overrides.get(rule)
        return [*found, Layer(Scope.DEVICE, device.name, own)] if own else found

    def settle(self, rules: Sequence[Rule], device: Device) -> bytes:
        """All overrides of a device, merged, as JSON: the same bytes for all devices that are judged alike.

        Empty if there are none. What does not fit its rule is left out.
        """
        concerned = tuple(group for group in groups_of(device) if group in self.groups) if self.groups else ()
        if not concerned and not device.overrides:
            return b""
        key = device.kind, concerned, orjson.dumps(device.overrides)
        settled = self._settled.get(key)
        if settled is None:
            merged = {rule.slot: lay(rule, self.layers(rule.key, device)).parameters for rule in rules}
            set_apart = {slot: parameters for slot, parameters in merged.items() if parameters}
            settled = orjson.dumps(set_apart, option=orjson.OPT_SORT_KEYS) if set_apart else b""
            if len(self._settled) >= _SETTLED:
                self._settled.clear()
            self._settled[key] = settled
        return settled
