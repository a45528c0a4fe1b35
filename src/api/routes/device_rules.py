"""Why a rule of a device fires, waits or stays clear: every rule with what it saw, who set it, and what comes next."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from fastapi import APIRouter

from api.fields import Name
from api.models.device_rules import DeviceRules, RuleState, SwitchedOff, name_of
from api.parts import Parts, PartsOf
from api.problems import documented
from api.rule_desk import load_book
from api.security import Reader
from devices.kind import DeviceKind
from devices.places import Schedules, goes_by_place, surroundings_of
from devices.plans import interval_of, plan_of
from devices.rule_book import BookRule, with_book
from domain.alert import Severity
from domain.device import Device, LifeCycle
from domain.errors import NotFoundError
from domain.instants import from_micros, to_micros
from domain.reading import DEVICE
from rules.engine import Hearing
from rules.explain import BOOK, KIND, Present, RuleNow, Seen, Written, explain_rule
from rules.layers import GroupOverrides, lay
from rules.rule import Rule
from rules.surroundings import Placeable, Surroundings, put_in_place
from rules.tracks import decode_tracks
from store.device_rules import JudgedDevice, by_group, judged_device
from store.lighting_schedules import load_schedules
from store.rule_book import BookRow
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
    book = [(one.row, one.written) for one in await load_book(parts.pool, parts.kinds) if one.row is not None]
    device, default = found.device, parts.kinds.get(found.device.kind)
    kind = with_book(parts.kinds, [written for _, written in book]).get(device.kind)
    place = await _surroundings(parts, device, kind)
    rules = [] if kind is None or default is None else _explain(found, kind, _Book(default, book), place, now)
    revisions = [revision_of(rule.rule.key, rule.rule.as_data()) for rule in rules]
    ids = await known_revisions(parts.pool, revisions)
    return DeviceRules(
        device=device.name,
        kind=device.kind,
        now=now,
        life_cycle=device.life_cycle,
        note=f"No rules are known here for a {device.kind}." if kind is None else _NOTES.get(device.life_cycle),
        interval_s=None if kind is None else interval_of(kind, device),
        switched_off=[
            SwitchedOff(key=row.key, author=row.author, file=row.file, since=row.updated_at)
            for row, written in book
            if written.device_kind == device.kind and not written.enabled
        ],
        rules=[
            RuleState.of(rule, now, found, [row for row, _ in book], ids.get((revision.key, revision.digest)))
            for rule, revision in zip(rules, revisions, strict=True)
        ],
    )


class _Book(NamedTuple):
    """Who wrote the rules: the kind itself, and the rule book."""

    default: DeviceKind
    book: Sequence[tuple[BookRow, BookRule]]

    def written(self, rule: Rule) -> list[Written]:
        """One rule as those wrote it who wrote it."""
        whole = [Written(KIND, self.default.key, one) for one in self.default.rules if one.key == rule.key]
        return [*whole, *(Written(BOOK, name_of(row), rule) for row, written in self.book if written.rule == rule)]


async def _surroundings(parts: Parts, device: Device, kind: DeviceKind | None) -> Surroundings | None:
    if kind is None or not goes_by_place(kind):
        return None
    schedules = Schedules.read(row[:3] for row in await load_schedules(parts.pool))
    return surroundings_of(device, schedules, parts.settings.zone.key)


def _explain(
    found: JudgedDevice, kind: DeviceKind, book: _Book, place: Surroundings | None, now: datetime
) -> list[RuleNow]:
    device = found.device
    groups = GroupOverrides(by_group(found.overrides))
    plan = plan_of(kind, interval_of(kind, device), groups.settle(kind.rules, device), place)
    present = Present(
        now=now,
        tracks=decode_tracks(found.tracks),
        seen=_seen(found, plan.validity),
        hearing=Hearing(found.heard_at, found.coverage),
        source=found.source,
        raised={one.rule: (one.onset, Severity(one.severity)) for one in found.alerts},
    )
    explained: list[RuleNow] = []
    for rule in kind.rules:
        laid = lay(rule, groups.layers(rule.key, device))
        there = replace(laid, rule=put_in_place(laid.rule, place))
        condition = rule.condition
        unjudged = condition.missing(place) if place is not None and isinstance(condition, Placeable) else None
        explained.append(replace(explain_rule(plan, there, book.written(rule), present), unjudged=unjudged))
    return explained


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
