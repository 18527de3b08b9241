"""Where the CPU time of a run goes: a sampling profiler over all Python threads of this process.

Every few milliseconds each thread's CPU time since the last look (from the kernel, so a waiting or descheduled thread
counts nothing) is added to the place where the thread is now. Native code that releases the GIL counts for the Python
function that called it; threads that are not Python's (those of OpenMP) are not seen.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

Place = tuple[str, str]
"""Kind of thread, and the function of this package it is in with the function outside that it calls."""


class Sampler(threading.Thread):
    """Samples while it is entered as a context.

    Args:
        packages: Parts of file paths that make a frame one of ours.
        every_s: Between two looks.
    """

    def __init__(self, packages: tuple[str, ...] = ("/geocr/", "/benchmarks/"), every_s: float = 0.004) -> None:
        super().__init__(name="sampler", daemon=True)
        self.cpu_s: Counter[Place] = Counter()
        self.own_s = 0.0
        """CPU time of the sampling itself, which is in no table but in the process's own."""
        self._packages, self._every_s = packages, every_s
        self._ended = threading.Event()
        self._seen: dict[int, float] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Sample until told to end."""
        own = threading.get_native_id()
        old = (thread.native_id for thread in threading.enumerate())
        self._seen = {native: thread_cpu_s(native) for native in old if native is not None}  # what they did before is not of this run
        while not self._ended.wait(self._every_s):
            frames = sys._current_frames()  # noqa: SLF001 - the only way to see other threads
            for thread in threading.enumerate():
                frame, native = frames.get(thread.ident or 0), thread.native_id
                if frame is None or native is None or native == own:
                    continue
                spent = thread_cpu_s(native)
                before = self._seen.get(native, 0.0)
                self._seen[native] = spent
                self.cpu_s[thread.name.rstrip("0123456789_"), self._place(frame)] += max(0.0, spent - before)
        self.own_s = time.thread_time()

    def _place(self, frame: FrameType) -> str:
        leaf = name_of(frame)
        at: FrameType | None = frame
        while at is not None and not any(part in at.f_code.co_filename for part in self._packages):
            at = at.f_back
        if at is None:
            return leaf
        return name_of(at) if at is frame else f"{name_of(at)} > {leaf}"

    def lines(self, least_share: float = 0.005) -> Iterator[str]:
        """Markdown tables by CPU time: of our functions, whatever they call, and of single lines."""
        by_function: Counter[Place] = Counter()
        for (kind, place), spent in self.cpu_s.items():
            by_function[kind, place.partition(" > ")[0].partition(":")[0]] += spent
        yield from _table(by_function, "function", least_share)
        yield ""
        yield from _table(self.cpu_s, "line > what it calls", least_share)


def _table(cpu_s: Counter[Place], title: str, least_share: float) -> Iterator[str]:
    total = sum(cpu_s.values())
    yield f"| CPU time | share | thread | {title} |"
    yield "|---|---|---|---|"
    for (kind, place), spent in cpu_s.most_common():
        if spent >= least_share * total:
            yield f"| {spent:.2f} s | {spent / total:.1%} | {kind} | {place} |"
    yield f"| {total:.2f} s | | | all |"


def thread_cpu_s(native: int) -> float:
    """CPU time of a thread of this process, seconds; 0 when it has ended."""
    try:
        return int(Path(f"/proc/self/task/{native}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def name_of(frame: FrameType) -> str:
    """Module and function of a frame."""
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}:{frame.f_lineno}"
