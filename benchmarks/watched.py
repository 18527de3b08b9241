"""A command under watch: wall time, peak memory of its process tree, temporary disk, and an end when it takes too much."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a command took."""

    wall_s: float
    """From its start to its end, Python's start-up and imports included."""
    cpu_s: float
    """CPU time of the process and the children it waited for: steadier than wall time on a machine that others use."""
    peak_bytes: int
    """Most resident memory of the process and its children; pages that several of them share count once."""
    disk_bytes: int
    """Most bytes in its folder at any time, beyond those left there at the end."""
    end: str
    """`done`, `failed (exit N)`, `killed: above the cap` or `killed: out of time`."""
    output: str
    """The end of what it printed."""

    @property
    def done(self) -> bool:
        """Whether it ended by itself and well."""
        return self.end == "done"


def tree_bytes(root: psutil.Process) -> int:
    """Resident memory of a process and its children: RSS of one alone, the sum of PSS where there are several."""
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in tree:
        try:
            total += process.memory_info().rss if len(tree) == 1 else process.memory_full_info().pss
        except psutil.Error:
            continue  # ended meanwhile
    return total


def folder_bytes(folder: Path) -> int:
    """Bytes on disk of all files in a folder: blocks, so that holes in sparse files count nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_blocks * 512
            except OSError:
                continue  # removed meanwhile
    return total


def watch(
    command: Sequence[str], *, folder: Path, cap_bytes: int, limit_s: float = 7200.0, environment: Mapping[str, str] | None = None
) -> Watched:
    """Run a command in a folder until it ends, or takes more memory or time than it may.

    Args:
        command: What to run, without a shell.
        folder: Its working and temporary folder, whose growth is counted as its disk.
        cap_bytes: Most memory of its process tree.
        limit_s: Most wall time.
        environment: Variables beside those of this process.
    """
    log = folder / "output.log"
    began = time.monotonic()
    variables = {**os.environ, **(environment or {}), "TMPDIR": str(folder)}
    peak = disk = 0
    end = "done"
    before = folder_bytes(folder)
    spent = _children_cpu_s()
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True)
        root = psutil.Process(process.pid)
        disk_at = 0.0
        while process.poll() is None:
            peak = max(peak, tree_bytes(root))
            now = time.monotonic()
            if now - disk_at > 1.0:  # thousands of patches are not counted ten times a second
                disk, disk_at = max(disk, folder_bytes(folder)), now
            if peak > cap_bytes or now - began > limit_s:
                end = "killed: above the cap" if peak > cap_bytes else "killed: out of time"
                _kill(root)
                break
            try:
                process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue
        code = process.wait()
    wall = time.monotonic() - began
    if end == "done" and code:
        end = f"failed (exit {code})"
    after = folder_bytes(folder)
    tail = log.read_text(errors="replace")[-4000:]
    return Watched(
        wall_s=wall,
        cpu_s=_children_cpu_s() - spent,
        peak_bytes=peak,
        disk_bytes=max(0, max(disk, before) - max(after, before)),
        end=end,
        output=tail,
    )


def _kill(root: psutil.Process) -> None:
    """End a process and its children, and wait until they have given back their memory."""
    tree = [root, *root.children(recursive=True)]
    os.killpg(root.pid, signal.SIGKILL)
    psutil.wait_procs(tree, timeout=30)


def _children_cpu_s() -> float:
    """CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
