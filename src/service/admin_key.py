"""The first admin key: made once, kept in the data directory for its owner alone."""

import contextlib
import os
from pathlib import Path
from typing import Final

from domain.clock import Clock
from service.children import describe_os_error
from store.keys import any_admin_key, create_key, find_key, fits, read_key
from store.pool import open_pool

FILE_NAME: Final = "admin.key"


async def ensure_admin_key(data_dir: Path, url: str, clock: Clock) -> str | None:
    """Return the key that lies in the data directory, after making it if nobody could manage keys.

    ``None`` means that the database has an admin key which is not ours to know: it was made elsewhere, or the one in
    the file was revoked on purpose.
    """
    path = data_dir / FILE_NAME
    pool = await open_pool(url, application_name="streetwarden run", min_size=1, max_size=1)
    try:
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text(encoding="ascii").strip()
            presented = read_key(text)
            stored = await find_key(pool, presented.id) if presented is not None else None
            if presented is not None and stored is not None and fits(presented, stored):
                return text
        if await any_admin_key(pool):
            return None
        key = await create_key(pool, name="first admin", role="admin", now=clock.now())
        _write(path, key)
    except OSError as error:
        raise describe_os_error(error, "keep the admin key", path) from error
    finally:
        await pool.close()
    return key


def _write(path: Path, key: str) -> None:
    # Made with its final mode: there is no moment in which others could read it.
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
