"""Who owns a run: a name for this process that no later one has."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Name of this process: machine, process id, and when it started as far as the system tells."""
    return _name(os.getpid())


def is_known_dead(owner: str) -> bool:
    """Whether an owner was a process of this machine that has ended. Of one on another machine only its lease can tell."""
    host, pid, _ = owner.rsplit(":", 2)
    return host == socket.gethostname() and owner != _name(int(pid))


def _name(pid: int) -> str:
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "" if Path("/proc/self").exists() else "unknown"
    return f"{socket.gethostname()}:{pid}:{started}"
