"""Storable: what PostgreSQL cannot hold is recognised before it is asked, so that one publisher cannot make it say no.

A batch that is refused is halved until the one to blame is found: right for what nobody foresaw, ruinous as a habit. A
single source that sent zero characters, a few hundred a second, held up everybody else for minutes (``make chaos``).
"""

import re
from typing import Final

from ingest.format import Decoded, Sample

ZERO_TOLD: Final = "it holds the character \\u0000, which PostgreSQL cannot store"

_ESCAPED: Final = b"\\u0000"
_ESCAPED_ZERO: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An odd number of backslashes: an even one is a text about the escape, not the escape."""


def holds_zero(payload: bytes, decoded: Decoded) -> bool:
    """Whether a text of the message holds the zero character.

    Nearly no payload holds the six bytes that write it in JSON, or the byte itself, as binary formats may: so it costs
    two searches.
    """
    if _ESCAPED not in payload and b"\0" not in payload:
        return False
    return any(_sample_holds_zero(sample) for sample in decoded.samples) or any(
        _ESCAPED_ZERO.search(event.body) is not None for event in decoded.events
    )


def _sample_holds_zero(sample: Sample) -> bool:
    return any("\0" in name or (isinstance(value, str) and "\0" in value) for name, value in sample.values.items())
