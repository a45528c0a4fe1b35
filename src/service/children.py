"""A child process of the service: how it is described, started, watched and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain.errors import StreetwardenError
from service.failures import ChildDiedError, DiskFullError, NoPermissionError, NotReadyError

_TETHER: Final = Path(__file__).with_name("tether.py")
_POLL_S: Final = 0.02
_LOG_TAIL_BYTES: Final = 4096
_NO_SPACE: Final = "No space left on device"


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The user a program runs as when the service itself runs as root."""

    name: str
    uid: int
    gid: int
    search: bool = False
    """Whether it needs the right to pass through directories that are closed to it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start and how to know that it works; ``env`` is its whole environment, secrets included."""

    name: str
    argv: tuple[str, ...]
    log_file: Path
    env: Mapping[str, str] = field(repr=False)
    ready: Callable[[], bool]
    hint: str
    """What the operator should do when it dies."""
    ready_timeout_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    user: SystemUser | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A started program."""

    program: Program
    process: "subprocess.Popen[bytes]"
    log_start: int
    """Size of the log file before the start: what stands after it is this child's own output."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def require_alive(self) -> None:
        """Raise one sentence that names the child, how it ended, its log and what to do."""
        code = self.process.poll()
        if code is not None:
            raise self._obituary(code)

    def wait_ready(self, interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it does its work; False when the operator gave up waiting first."""
        deadline = time.monotonic() + self.program.ready_timeout_s
        while not interrupted():
            self.require_alive()
            if self.program.ready():
                return True
            if time.monotonic() > deadline:
                name, limit, log = self.program.name, self.program.ready_timeout_s, self.program.log_file
                raise NotReadyError(f"{name} was started but not ready within {limit:.0f} s; see {log}.")
            time.sleep(_POLL_S)
        return False

    def stop(self) -> None:
        """Ask it to end, and kill it when it takes longer than its time limit."""
        if not self.alive:
            return
        self.process.send_signal(self.program.stop_signal)
        try:
            self.process.wait(self.program.stop_timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _obituary(self, code: int) -> StreetwardenError:
        tail = read_tail(self.program.log_file, self.log_start)
        name, log = self.program.name, self.program.log_file
        if _NO_SPACE in tail:
            return DiskFullError(f"{name} ended because the disk is full; make room and start again. Its log: {log}.")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended by itself with exit code {code}"
        return ChildDiedError(f"{name} {how}; everything else was stopped. {self.program.hint} Its log: {log}.")


def start(program: Program) -> Child:
    """Start a program in its own session, tied to our life, with its output appended to its log file."""
    try:
        program.log_file.parent.mkdir(parents=True, exist_ok=True)
        with program.log_file.open("ab") as log:
            log_start = log.tell()
            process = subprocess.Popen(
                tethered(program.argv, program.user, program.stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(program.env),
                start_new_session=True,  # Ctrl-C reaches us alone; we stop the children in their order
            )
    except OSError as error:
        raise describe_os_error(error, f"start {program.name}", program.log_file.parent) from error
    return Child(program, process, log_start)


def tethered(argv: Sequence[str], user: SystemUser | None, death_signal: signal.Signals) -> list[str]:
    """The command line that starts ``argv`` as ``user``, to be sent ``death_signal`` when we die."""
    tether = [sys.executable, "-I", "-S", str(_TETHER), f"--signal={int(death_signal)}", f"--parent={os.getpid()}"]
    if user is not None:
        tether += [f"--uid={user.uid}", f"--gid={user.gid}", *(["--search"] if user.search else [])]
    return [*tether, "--", *argv]


@contextmanager
def running(program: Program) -> Generator[Child]:
    """A program that is ready inside the block and gone after it."""
    child = start(program)
    try:
        child.wait_ready()
        yield child
    finally:
        child.stop()


def read_tail(log_file: Path, start_at: int = 0) -> str:
    """The last lines of a log file, as far as they were written after ``start_at``."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(start_at, log_file.stat().st_size - _LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def describe_os_error(error: OSError, action: str, place: Path) -> StreetwardenError:
    """The sentence for what the operating system refused while we tried to do ``action`` at ``place``."""
    if isinstance(error, PermissionError):
        return NoPermissionError(
            f"Cannot {action}: no permission at {error.filename or place}. Give this user write access to it, "
            f"or choose another place with STREETWARDEN_DATA_DIR."
        )
    if error.strerror == _NO_SPACE:
        return DiskFullError(f"Cannot {action}: the disk that holds {place} is full. Make room and start again.")
    return NoPermissionError(f"Cannot {action} at {error.filename or place}: {error.strerror}.")
