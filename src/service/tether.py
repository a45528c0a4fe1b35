"""A tiny launcher that ties a child process to its parent's life, then becomes that child.

It runs as a script in a bare interpreter, so it imports nothing but the standard library. Order matters: the kernel
forgets the death signal when a process changes its user, so the user is dropped first.
"""

import argparse
import ctypes
import os
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_KEEPCAPS: Final = 8
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
CAPABILITY_VERSION_3: Final = 0x20080522
CANNOT_EXECUTE: Final = 126


class CapabilityHeader(ctypes.Structure):
    """The kernel's ``__user_cap_header_struct``."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilityData(ctypes.Structure):
    """The kernel's ``__user_cap_data_struct``."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_rights(libc: ctypes.CDLL | None, uid: int, gid: int, *, search: bool) -> None:
    """Become another user; with ``search`` keep the one right to pass through directories closed to that user.

    Root's own folders are usually closed to others. Opening them on disk would outlive us; this right does not.
    """
    if search and libc is not None:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if not search or libc is None:
        return
    # A container often lacks the first capability and owns the second, which includes it.
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        bit = 1 << capability
        data = (CapabilityData * 2)(CapabilityData(bit, bit, bit), CapabilityData(0, 0, 0))
        if libc.capset(ctypes.byref(CapabilityHeader(CAPABILITY_VERSION_3, 0)), data) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def open_libc() -> ctypes.CDLL | None:
    """The C library where the kernel knows these requests; elsewhere a stale child is found by its pid file."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def main() -> None:
    """Drop to the wished user, ask the kernel for a signal when the parent dies, and execute the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signal", type=int, required=True, help="signal to receive when the parent dies")
    parser.add_argument("--parent", type=int, required=True, help="process id of the parent")
    parser.add_argument("--uid", type=int, help="user to become")
    parser.add_argument("--gid", type=int, help="group to become")
    parser.add_argument("--search", action="store_true", help="keep the right to pass through closed directories")
    parser.add_argument("program", nargs="+", help="absolute path and arguments")
    asked = parser.parse_args()
    libc: ctypes.CDLL | None = open_libc()
    if asked.uid is not None:
        drop_rights(libc, asked.uid, asked.gid, search=asked.search)
    if libc is not None:
        libc.prctl(PR_SET_PDEATHSIG, asked.signal, 0, 0, 0)
        if os.getppid() != asked.parent:  # it died before we could ask for the signal
            sys.exit(CANNOT_EXECUTE)
    try:
        os.execv(asked.program[0], asked.program)  # noqa: S606 - the whole purpose; no shell is involved
    except OSError as error:
        sys.exit(f"cannot execute {asked.program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
