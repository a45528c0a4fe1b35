"""Layers of overrides: which parameter prevails, how levels merge, and what becomes of a layer that does not fit."""

from hypothesis import given
from hypothesis import strategies as st

from devices.kinds.manhole import KIND
from domain.device import Device
from domain.scope import GROUPS, Group, Scope, groups_of
from rules.kinds.threshold import Threshold
from rules.layers import GroupOverrides, Layer, laid_over, lay

TILT = next(rule for rule in KIND.rules if rule.key == "manhole.tilt")
COVER = Device(
    1,
    "mh-1",
    "manhole",
    "511703",
    overrides={"manhole.tilt": {"baseline": 4.0}},
    model="EM310",
    owner="排水公司",
    unit_grid="511703001002015",
    circuit="C-0007",
    site="S-00012",
)


def major(limit: float) -> dict[str, object]:
    return {"major": {"limit": limit}}


def limits(rule: object) -> list[float]:
    assert isinstance(rule, Threshold)
    return [level.limit for level in rule.levels]


def test_a_device_belongs_to_its_groups_the_narrowest_last() -> None:
    assert list(groups_of(COVER)) == [
        ("model", "EM310"),
        ("owner", "排水公司"),
        ("grid", "511703001002015"),
        ("circuit", "C-0007"),
        ("site", "S-00012"),
    ]
    assert list(groups_of(Device(2, "mh-2", "manhole", "511703"))) == []


def test_the_narrower_prevails_parameter_by_parameter() -> None:
    groups = {group: {"manhole.tilt": major(20.0 + n)} for n, group in enumerate(groups_of(COVER))}
    groups[Group(Scope.OWNER, "排水公司")] = {"manhole.tilt": {"major": {"hold_s": 90}, "critical": {"limit": 60}}}
    overrides = GroupOverrides(groups)
    layered = lay(TILT, overrides.layers(TILT.key, COVER))
    assert layered.parameters == {
        "baseline": 4.0,
        "critical": {"limit": 60},
        "major": {"limit": 24.0, "hold_s": 90},
    }
    assert [layer.scope for layer in layered.taken] == list(Scope)
    condition = layered.rule.condition
    assert isinstance(condition, Threshold)
    assert (condition.baseline, limits(condition), condition.levels[0].hold_s) == (4.0, [24.0, 60.0], 90.0)
    assert (condition.levels[0].clear, layered.rule.title) == (10.0, TILT.title)


def test_a_layer_that_does_not_fit_is_left_out_and_the_others_judge() -> None:
    layers = [
        Layer(Scope.MODEL, "EM310", major(20.0)),
        Layer(Scope.OWNER, "排水公司", {"notice": {"limit": 1.0}}),
        Layer(Scope.SITE, "S-1", {"major": {"hold_s": -1}}),
        Layer(Scope.DEVICE, "mh-1", {"baseline": 4.0}),
    ]
    layered = lay(TILT, layers)
    assert layered.parameters == {"baseline": 4.0, "major": {"limit": 20.0}}
    assert [layer.scope for layer in layered.taken] == ["model", "device"]
    notice, hold = layered.refused
    assert (notice.layer.scope, hold.layer.scope) == ("owner", "site")
    assert notice.why.startswith("the rule has no parameter 'notice'; it has baseline and")
    assert hold.why == "hold_s must lie between 0 and 3.16224e+07 seconds, not -1"
    assert lay(TILT, layers[1:2]).rule == TILT


def test_devices_that_are_judged_alike_settle_on_the_same_bytes() -> None:
    same = {Group(Scope.SITE, f"S-{n}"): {"manhole.tilt": major(20.0)} for n in range(3)}
    overrides = GroupOverrides({**same, Group(Scope.OWNER, "A"): {"manhole.tilt": major(99.0), "bin.full": major(1.0)}})
    devices = [
        Device(n, f"mh-{n}", "manhole", "511703", owner="A" if n == 1 else None, site=f"S-{n}") for n in range(3)
    ]
    settled = {overrides.settle(KIND.rules, device) for device in devices}
    assert settled == {b'{"manhole.tilt":{"major":{"limit":20.0}}}'}
    assert overrides.settle(KIND.rules, Device(9, "mh-9", "manhole", "511703", site="S-9")) == b""
    assert overrides.settle(KIND.rules, Device(9, "b-9", "bin", "511703", site="S-1", model="S-1")) != b""


NUMBERS = st.integers(0, 9)
TREES = st.dictionaries(
    st.sampled_from("abc"), NUMBERS | st.dictionaries(st.sampled_from("xyz"), NUMBERS, max_size=3), max_size=3
)


@given(TREES, TREES, TREES)
def test_laying_is_associative_and_keeps_what_only_one_names(
    first: dict[str, object], second: dict[str, object], third: dict[str, object]
) -> None:
    together = laid_over(first, second)
    assert laid_over(first, {}) == laid_over({}, first) == laid_over(first, first) == first
    assert together.keys() == first.keys() | second.keys()
    assert all(together[name] == first[name] for name in first.keys() - second.keys())
    assert all(together[name] == value for name, value in second.items() if not isinstance(value, dict))
    if all(isinstance(value, dict) for tree in (first, second, third) for value in tree.values()):
        assert laid_over(together, third) == laid_over(first, laid_over(second, third))


def test_every_group_scope_has_a_place_in_a_device() -> None:
    assert tuple(group.scope for group in groups_of(COVER)) == GROUPS
