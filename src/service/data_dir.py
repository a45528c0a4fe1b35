"""The data directory: made, closed to others, checked for room, and held by one ``streetwarden run`` at a time."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.children import describe_os_error
from service.failures import DataInUseError, DiskFullError

ROOM_TO_START: Final = 256 * 1024 * 1024
"""A new database takes 60 MB and its write-ahead log grows at once: with less, starting would only break it."""


@contextmanager
def held(data_dir: Path) -> Generator[None]:
    """Keep everyone else out until the block ends; the kernel lets go if we are killed.

    Raises:
        DataInUseError: another process holds it.
        DiskFullError: there is not enough room to start.
        NoPermissionError: we may not write there.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise describe_os_error(error, "use the data directory", data_dir) from error
    with os.fdopen(descriptor, "r+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = lock.read().strip() or "unknown"
            raise DataInUseError(
                f"Another `streetwarden run` (process {holder}) works in {data_dir}. Stop it, or choose another place "
                "with STREETWARDEN_DATA_DIR."
            ) from None
        require_room(data_dir)
        with contextlib.suppress(OSError):  # the number only helps the reader of the sentence above
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield


def require_room(data_dir: Path, needed: int = ROOM_TO_START) -> None:
    """Raise if the disk is too full to start."""
    free = shutil.disk_usage(data_dir).free
    if free < needed:
        raise DiskFullError(
            f"The disk that holds {data_dir} is full: {free // 2**20} MiB are free and {needed // 2**20} MiB are "
            "needed. Make room, or choose another place with STREETWARDEN_DATA_DIR."
        )
