"""The family of errors the service raises on purpose: one root, one sentence each, a stable code."""

from typing import ClassVar


class StreetwardenError(Exception):
    """Something went wrong that a person can understand and act on.

    The message is one sentence that says what happened, where, and what to do. ``code`` is stable: clients and
    scripts may match on it. ``exit_code`` is what a command ends with when this error stops it.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1


class NotFoundError(StreetwardenError):
    """The thing asked for does not exist, or the asker may not see it."""

    code = "not_found"


class ConflictError(StreetwardenError):
    """The request contradicts what is already there."""

    code = "conflict"


class InvalidInputError(StreetwardenError):
    """The input cannot be accepted; the message names the field and what was expected."""

    code = "invalid_input"
    exit_code = 65


class ChangedMeanwhileError(StreetwardenError):
    """What the request was made for is no longer as the asker saw it."""

    code = "changed_meanwhile"


class NotAllowedError(StreetwardenError):
    """The key given may not do this."""

    code = "not_allowed"


class UnauthenticatedError(StreetwardenError):
    """No valid key came with the request."""

    code = "unauthenticated"


class UnavailableError(StreetwardenError):
    """A neighbour (database, broker) does not answer right now."""

    code = "unavailable"
    exit_code = 69


class RefusedError(StreetwardenError):
    """The service refuses to start or go on, because doing so would be unsafe."""

    code = "refused"
    exit_code = 78
