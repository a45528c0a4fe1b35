"""What one look at ourselves means for the alerts about ourselves."""

from datetime import UTC, datetime, timedelta

from devices.catalogue import load_kinds
from devices.own_kind import OUTAGE, OWN_KIND, SESSION_LOST
from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage, OutageCause
from rules.plan import make_plan
from service.own_alarms import Sight, alarm
from store.own_alarms import Outage, OwnAlert

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GAP = timedelta(seconds=15)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def see(
    now: float,
    *,
    deaf_since: float | None = None,
    heard: tuple[float, float] | None = None,
    outages: tuple[Outage, ...] = (),
    alerts: tuple[OwnAlert, ...] = (),
) -> list[Transition]:
    deaf = None if deaf_since is None else at(deaf_since)
    stretch = None if heard is None else Coverage(at(heard[0]), at(heard[1]))
    return alarm(Sight(7, at(now), GAP, deaf, stretch, outages, alerts))


def gap(number: int, began: float, ended: float) -> Outage:
    return Outage(number, OutageCause.SILENT, at(began), at(ended))


def forgotten(number: int, began: float, ended: float) -> Outage:
    return Outage(number, OutageCause.FORGOTTEN, at(began), at(ended))


def firing(rule: str, onset: float, fired: float, acknowledged: float | None = None) -> OwnAlert:
    return OwnAlert(rule, at(onset), at(fired), None, None if acknowledged is None else at(acknowledged))


def told(steps: list[Transition]) -> list[tuple[str, Step, datetime, datetime]]:
    return [(step.rule, step.step, step.onset, step.at) for step in steps]


def test_a_deaf_worker_opens_an_outage_from_its_last_heartbeat_on() -> None:
    steps = see(20, deaf_since=0, heard=(-500, 0))
    assert told(steps) == [(OUTAGE, Step.OPENED, at(0), at(15))]
    assert steps[0].severity is Severity.CRITICAL


def test_an_outage_that_fires_is_not_opened_again_and_lasts_as_long_as_one_worker_is_deaf() -> None:
    alert = firing(OUTAGE, 0, 15)
    assert see(40, deaf_since=0, heard=(-500, 0), alerts=(alert,)) == []
    assert see(40, deaf_since=20, heard=(30, 39), alerts=(alert,), outages=(gap(1, 0, 30),)) == []


def test_it_clears_when_the_heartbeats_of_all_are_back_at_the_time_they_were_back() -> None:
    alert = firing(OUTAGE, 0, 15)
    assert see(40, heard=(-500, 10), alerts=(alert,)) == [], "connected again, but nothing has come back"
    assert see(40, heard=None, alerts=(alert,)) == [], "one was never heard"
    gaps = (gap(1, 0, 30), gap(2, 0.1, 31))
    assert told(see(40, heard=(31, 39), alerts=(alert,), outages=gaps)) == [(OUTAGE, Step.CLEARED, at(0), at(31))]


def test_gaps_of_all_workers_and_sources_found_at_return_are_one_outage() -> None:
    gaps = (gap(1, 0, 60), gap(2, 0.2, 60.5), gap(3, -0.3, 63))
    steps = see(70, heard=(63, 69), outages=gaps)
    assert told(steps) == [(OUTAGE, Step.OPENED, at(-0.3), at(14.7)), (OUTAGE, Step.CLEARED, at(-0.3), at(63))]


def test_a_gap_that_a_cleared_alert_has_told_of_is_not_told_again() -> None:
    alert = OwnAlert(OUTAGE, at(0), at(15), at(60), None)
    assert see(90, heard=(80, 89), alerts=(alert,), outages=(gap(4, 0.4, 80),)) == []
    another = see(300, heard=(290, 299), alerts=(alert,), outages=(gap(5, 100, 290),))
    assert [step.step for step in another] == [Step.OPENED, Step.CLEARED]


def test_sessions_forgotten_by_the_broker_are_one_alert_until_it_is_acknowledged() -> None:
    steps = see(70, heard=(0, 69), outages=(forgotten(1, 50, 60), forgotten(2, 49, 61)))
    assert told(steps) == [(SESSION_LOST, Step.OPENED, at(49), at(61))]
    assert steps[0].severity is Severity.MAJOR
    assert see(80, outages=(forgotten(3, 55, 75),), alerts=(firing(SESSION_LOST, 49, 61),)) == []
    acknowledged = firing(SESSION_LOST, 49, 61, acknowledged=90)
    assert told(see(95, alerts=(acknowledged,))) == [(SESSION_LOST, Step.CLEARED, at(49), at(90))]


def test_a_session_forgotten_again_before_a_heartbeat_came_back_is_another_alert() -> None:
    acknowledged = firing(SESSION_LOST, 50, 60, acknowledged=90)
    steps = see(100, outages=(forgotten(4, 50, 99),), alerts=(acknowledged,))
    assert told(steps) == [
        (SESSION_LOST, Step.CLEARED, at(50), at(90)),
        (SESSION_LOST, Step.OPENED, at(99), at(99)),
    ]


def test_our_own_kind_is_none_of_the_citys_and_no_reading_wakes_its_rules() -> None:
    assert OWN_KIND.key not in load_kinds()
    plan = make_plan(OWN_KIND.rules, interval_s=60, validity_factor=1.5, overrides={})
    assert (plan.watches, plan.silences) == ((), ())
    assert set(plan.rules) == {OUTAGE, SESSION_LOST}
    assert all(rule.title and rule.title_zh and rule.case_class is None for rule in OWN_KIND.rules)
