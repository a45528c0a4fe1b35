"""What PostgreSQL cannot hold is seen before it is asked."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.ledger import Outcome, Reason
from ingest.catalogue import load_formats
from ingest.delivery import Delivery
from ingest.normalise import TimeBounds
from ingest.router import Router
from service.understand import Bounds, decode_all
from tests.support.publishing import topic

NOW = datetime(2026, 11, 25, tzinfo=UTC)
BOUNDS = Bounds(TimeBounds(timedelta(minutes=5), timedelta(days=400)), 65536)


def outcome(payload: bytes, leaf: str = "telemetry") -> tuple[Outcome, Reason | None]:
    delivery = Delivery(topic("MH-1", leaf=leaf), payload, NOW, 1, redelivered=False, generation=1)
    [parcel] = decode_all([delivery], Router(load_formats()), BOUNDS)
    return parcel.outcome, parcel.reason


@pytest.mark.parametrize(
    ("payload", "leaf"),
    [
        (rb'{"values":{"tilt_deg":1,"note":"a\u0000b"}}', "telemetry"),
        (rb'{"values":{"tilt_deg":1,"\u0000":1}}', "telemetry"),
        (rb'[{"values":{"tilt_deg":1}},{"values":{"note":"\\\u0000"}}]', "telemetry"),
        (rb'{"class":"opened","values":{"note":"\u0000"}}', "event"),
        (rb'{"class":"opened","else":{"deep":["\u0000"]}}', "event"),
    ],
)
def test_a_zero_character_is_refused_before_the_database_is_asked(payload: bytes, leaf: str) -> None:
    assert outcome(payload, leaf) == (Outcome.QUARANTINED, Reason.REFUSED_BY_DATABASE)


@pytest.mark.parametrize(
    ("payload", "leaf"),
    [
        (rb'{"values":{"tilt_deg":1,"note":"the text \\u0000 of six characters"}}', "telemetry"),
        (rb'{"class":"opened","values":{"note":"\\u0000"}}', "event"),
        (rb'{"values":{"tilt_deg":1,"note":"0000"},"nobody_reads_this":"\u0000"}', "telemetry"),
    ],
)
def test_what_only_looks_like_one_or_is_not_kept_passes(payload: bytes, leaf: str) -> None:
    assert outcome(payload, leaf) == (Outcome.ACCEPTED, None)
