"""Coverage: the time over which a source was heard without a break, so that silence can be told from our deafness."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Coverage(NamedTuple):
    """The present unbroken stretch in which messages of a source could reach us.

    ``until`` is the watermark: the time of our own last heartbeat that came back through the broker and was
    committed. "Nothing heard" is judged only inside this stretch: a broker or service that was away for two hours
    gives every device a fresh start instead of raising a thousand silences.
    """

    since: datetime
    until: datetime


Stretches = Mapping[str, Coverage]
"""Source → the stretch over which one worker heard it."""


class OutageCause(StrEnum):
    """Why nothing could reach us for a time."""

    SILENT = "no heartbeat came back"
    FORGOTTEN = "the broker had forgotten our session"
    """What came while it was forgotten is lost."""


def heard_by_all(own: Stretches, others: Mapping[str, Stretches]) -> Stretches:
    """Where every worker has heard: a source's messages are spread over the sessions of all of them.

    The latest ``since`` and the earliest ``until``. A source that one of the ``others`` (worker → its stretches) has
    not heard at all is not covered; where two stretches do not meet, ``until`` lies before ``since``, and no silence
    is found in it.
    """
    if not others:
        return own
    return {
        source: Coverage(
            max(stretch.since, *(one[source].since for one in others.values())),
            min(stretch.until, *(one[source].until for one in others.values())),
        )
        for source, stretch in own.items()
        if all(source in one for one in others.values())
    }
