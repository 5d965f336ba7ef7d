"""Whether another process of this very machine is dead, so that a killed node can start again at once."""

from __future__ import annotations

import os
from pathlib import Path


def this_process() -> str:
    """Boot, PID namespace, PID and start time of this process; "" where /proc does not tell."""
    try:
        return f"{_here()}:{os.getpid()}:{_started(os.getpid())}"
    except (OSError, IndexError):
        return ""


def surely_dead(process: str) -> bool:
    """True only for a process of this boot and this PID namespace that does not run any more."""
    here, _, rest = process.rpartition(":")[0].rpartition(":")
    started = process.rpartition(":")[2]
    try:
        if not rest.isdigit() or here != _here():
            return False
        return _started(int(rest)) != started
    except FileNotFoundError:
        return True
    except (OSError, IndexError):
        return False


def _here() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat; a zombie has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return "ended" if fields[0] in "ZX" else fields[19]
