"""Why a rule of a device fires, waits or stays clear: every rule with what it saw, who set it, and what comes next."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter

from api.fields import Name
from api.models.device_rules import DeviceRules, RuleState
from api.parts import PartsOf
from api.problems import documented
from api.rule_desk import kinds_in_force
from api.security import Reader
from devices.kind import DeviceKind
from devices.plans import interval_of, plan_of
from domain.device import LifeCycle
from domain.errors import NotFoundError
from domain.instants import from_micros, to_micros
from domain.reading import DEVICE
from rules.engine import Hearing
from rules.explain import KIND, Present, RuleNow, Seen, Written, explain_rule
from rules.layers import GroupOverrides, lay
from rules.tracks import decode_tracks
from store.device_rules import JudgedDevice, by_group, judged_device
from store.rule_revisions import known_revisions, revision_of

router: Final = APIRouter(prefix="/v1/devices", tags=["catalogue"])

_NOTES: Final = {
    LifeCycle.SUSPENDED: "The device is suspended: its readings are stored and not judged.",
    LifeCycle.RETIRED: "The device is retired: nothing it sends is judged.",
}


@router.get("/{name}/rules", responses=documented(401, 404, 422))
async def rules_of_device(name: Name, parts: PartsOf, _: Reader) -> DeviceRules:
    """Explain how each rule of a device stands now, also why it does not fire.

    Each parameter that a model, group or the device sets, and which prevails; the newest readings; how far a hold is
    and when it fires; since when a silent device counts; the alert that fires.
    """
    found = await judged_device(parts.pool, name)
    if found is None:
        raise NotFoundError(f"There is no device {name}.")
    now = parts.clock.now()
    device = found.device
    kind = (await kinds_in_force(parts.pool, parts.kinds)).get(device.kind)
    rules = [] if kind is None else _explain(found, kind, now)
    revisions = [revision_of(rule.rule.key, rule.rule.as_data()) for rule in rules]
    ids = await known_revisions(parts.pool, revisions)
    return DeviceRules(
        device=device.name,
        kind=device.kind,
        now=now,
        life_cycle=device.life_cycle,
        note=f"No rules are known here for a {device.kind}." if kind is None else _NOTES.get(device.life_cycle),
        interval_s=None if kind is None else interval_of(kind, device),
        rules=[
            RuleState.of(rule, now, found, ids.get((revision.key, revision.digest)))
            for rule, revision in zip(rules, revisions, strict=True)
        ],
    )


def _explain(found: JudgedDevice, kind: DeviceKind, now: datetime) -> list[RuleNow]:
    device = found.device
    groups = GroupOverrides(by_group(found.overrides))
    plan = plan_of(kind, interval_of(kind, device), groups.settle(kind.rules, device))
    present = Present(
        now=now,
        tracks=decode_tracks(found.tracks),
        seen=_seen(found, plan.validity),
        hearing=Hearing(found.heard_at, found.coverage),
        source=found.source,
    )
    return [
        explain_rule(plan, lay(rule, groups.layers(rule.key, device)), [Written(KIND, kind.key, rule)], present)
        for rule in kind.rules
    ]


def _seen(found: JudgedDevice, validity: int) -> dict[str, Seen]:
    return {
        measure: Seen(
            measure,
            newest.value,
            newest.at,
            newest.received_at,
            newest.flags.get(measure) or newest.flags.get(DEVICE),
            from_micros(to_micros(newest.at) + validity),
        )
        for measure, newest in found.newest.items()
    }
