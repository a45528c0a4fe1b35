"""The two accounts of the ledger, and the reasons for which a message is set aside."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a message went to quarantine; stable codes, shown to publishers."""

    NOT_JSON = "not_json"
    """The payload is not valid JSON (this covers NaN, Infinity and invalid UTF-8)."""
    NOT_UTF8 = "not_utf8"
    """The payload is not valid UTF-8."""
    TOO_DEEP = "too_deep"
    """The payload nests deeper than a reading ever does."""
    TOO_LARGE = "too_large"
    """The payload is larger than the bound for one message."""
    WRONG_SHAPE = "wrong_shape"
    """Valid JSON, but not the shape that the source's format describes."""
    UNDECODED_FRAME = "undecoded_frame"
    """A radio frame that no codec has decoded: raw bytes and no values."""
    UNKNOWN_TOPIC = "unknown_topic"
    """No source reads this topic."""
    UNKNOWN_DEVICE = "unknown_device"
    """No device is registered under this identity."""
    WRONG_IDENTITY = "wrong_identity"
    """The body names another device, or the topic's district or kind is not the registered one."""
    RETIRED_DEVICE = "retired_device"
    """The device was taken out of service for good."""
    BAD_TIME = "bad_time"
    """The time cannot be read."""
    IN_FUTURE = "in_future"
    """The time lies further ahead than the bound."""
    TOO_OLD = "too_old"
    """The time lies further back than readings are kept."""
    NO_KNOWN_MEASURE = "no_known_measure"
    """Not one value is known to the device's kind or mapped by its fields."""
    REFUSED_BY_DATABASE = "refused_by_database"
    """Everything understood it, and still it cannot be settled: known beforehand, or found by bisecting the batch."""


class Outcome(StrEnum):
    """What became of a first delivery: ``first = accepted + quarantined + ignored``."""

    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    IGNORED = "ignored"
    """Understood and of no interest: a join, a log line, a command passing by."""
    REDELIVERED = "redelivered"
    """Settled before; the broker had not seen our acknowledgement."""
