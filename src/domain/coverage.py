"""Coverage: the time over which a source was heard without a break, so that silence can be told from our deafness."""

from datetime import datetime
from typing import NamedTuple


class Coverage(NamedTuple):
    """The present unbroken stretch in which messages of a source could reach us.

    ``until`` is the watermark: the time of our own last heartbeat that came back through the broker and was
    committed. "Nothing heard" is judged only inside this stretch: a broker or service that was away for two hours
    gives every device a fresh start instead of raising a thousand silences.
    """

    since: datetime
    until: datetime
