"""What processes cost: CPU time and resident memory of a program with all its children, and of the whole machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psutil

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds used so far."""

    programs: Mapping[str, float]
    machine: float
    """All processors together, ours included; waiting for the disk is not use."""

    def since(self, earlier: "Usage") -> "Usage":
        """What was used in between."""
        used = {name: value - earlier.programs.get(name, 0.0) for name, value in self.programs.items()}
        return Usage(used, self.machine - earlier.machine)

    def per_message_us(self, messages: int) -> dict[str, float]:
        """Microseconds a message, by program; the benchmark's own cost is no program of the pipeline."""
        return {
            name: round(value / max(1, messages) * 1e6, 2)
            for name, value in self.programs.items()
            if name != _OURSELVES
        }

    @property
    def others_s(self) -> float:
        """What everybody else on this machine used."""
        return max(0.0, self.machine - sum(self.programs.values()))


_OURSELVES: Final = "bench"


def usage(pids: Mapping[str, int]) -> Usage:
    """Read the CPU time of these programs and their children, and of the benchmark itself."""
    programs = {name: _cpu_seconds(pid) for name, pid in pids.items()}
    own = psutil.Process(os.getpid()).cpu_times()
    programs[_OURSELVES] = own.user + own.system
    times = psutil.cpu_times()._asdict()
    # Linux counts a guest's time in "user", too.
    idle = {"idle", "iowait", "steal", "guest", "guest_nice"}
    return Usage(programs, sum(value for name, value in times.items() if name not in idle))


def memory_mib(pids: Mapping[str, int]) -> dict[str, float]:
    """Resident memory of each program with its children; what they share counts once where the system can tell."""
    return {name: round(sum(_resident(process) for process in _family(pid)) / _MIB, 1) for name, pid in pids.items()}


def _cpu_seconds(pid: int) -> float:
    total = 0.0
    for process in _family(pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
        if process.pid == pid:  # children that have ended since
            total += times.children_user + times.children_system
    return total


def _family(pid: int) -> list[psutil.Process]:
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (AttributeError, psutil.AccessDenied):  # not Linux, or another user's
        pass
    except psutil.Error:
        return 0
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
