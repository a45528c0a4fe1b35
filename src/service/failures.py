"""Why the service could not start or go on: one leaf per reason, and the one table of exit codes."""

from typing import Final

from domain.errors import StreetwardenError


class ChildDiedError(StreetwardenError):
    """A program that the service started has ended although nobody asked it to."""

    code = "child_died"
    exit_code = 70


class PortInUseError(StreetwardenError):
    """Another program listens where the service wants to."""

    code = "port_in_use"
    exit_code = 71


class NotReadyError(StreetwardenError):
    """A program that the service started did not become ready in time."""

    code = "not_ready"
    exit_code = 72


class DataInUseError(StreetwardenError):
    """Another Streetwarden works in the same data directory."""

    code = "data_in_use"
    exit_code = 73


class DiskFullError(StreetwardenError):
    """There is no room left where the data lies."""

    code = "disk_full"
    exit_code = 74


class NoPermissionError(StreetwardenError):
    """The operating system does not let this user do what is needed."""

    code = "no_permission"
    exit_code = 77


class WrongSettingError(StreetwardenError):
    """A setting cannot be understood, or is unsafe."""

    code = "wrong_setting"
    exit_code = 78


EXIT_CODES: Final = {
    0: "ended as asked, also after Ctrl-C or SIGTERM",
    1: "an error that has no code of its own",
    2: "the command line was not understood",
    65: "the input was not accepted",
    69: "a neighbour (database, broker) does not answer",
    70: "a child process died",
    71: "a port is in use",
    72: "a child process did not become ready in time",
    73: "another Streetwarden uses the data directory",
    74: "the disk is full",
    75: "the database has another schema than this version needs",
    77: "a permission is missing",
    78: "refused: the settings are wrong or would be unsafe",
}
"""What every ``streetwarden`` command may end with; `streetwarden run --help` prints it."""
