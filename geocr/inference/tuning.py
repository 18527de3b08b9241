"""How a network is run on this machine: tried on tiles of the scene, decided once, kept for the whole run.

Precision, batch, memory layout and the cores of one forward pass change the last digits of an answer. So they are
chosen before a run begins, written into its plan and fingerprint, used by every worker, and used again by a run that goes on
after a stop, whatever would be fastest by then.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from geocr.core.fields import require_fields
from geocr.core.types import FloatArray, Reconstruction, TileInput

Precision: TypeAlias = Literal["fp32", "bf16"]
"""Of the weights and of what the layers compute in."""

TUNE_FROM_TILES = 64
"""Runs with fewer tiles to compute are not worth a trial: they take the defaults."""
MOST_SHARE = 0.03
"""Of the time that the run is expected to take, at most this is spent on trials (the first one is always made)."""
LEAST_GAIN = 1.07
"""A change is taken when it makes tiles this much faster: less may be noise."""
BF16_TOLERANCE = 0.002
"""bf16 is taken when 99.9 % of its answers lie this close to those of fp32, in reflectance (20 counts of a Sentinel-2 product)."""
CPU_BATCHES = (4,)
"""Tried beside 1: on a CPU a batch seldom helps, as one tile stays in the caches."""
GPU_BATCH = 8
"""Where trials on a GPU begin, and what is used there without any."""
GPU_BATCHES = (16, 32, 64)
"""Tried there, in this order, until one is no faster or does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """One way to run a network."""

    precision: Precision = "fp32"
    batch: int = 1
    """Tiles of one forward pass."""
    channels_last: bool = True
    """Memory layout of weights and activations."""
    torch_threads: int = 1
    """Cores of one forward pass on a CPU; tiles share the others."""
    compiled: bool = False
    """Whether the model goes through `torch.compile`."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields as JSON keeps them."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Rebuild what `to_dict` gave.

        Raises:
            InputError: When keys are missing or unknown.
        """
        require_fields(cls, stored)
        return cls(**stored)


DEFAULT_TUNING = Tuning()
"""What the fields say by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user has decided; None and `auto` are to be tuned."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    batch: int | None = None
    compiled: bool = False

    def start(self, *, gpu: bool) -> Tuning:
        """Where trials begin, and what is used without any."""
        precision: Precision = "fp32" if self.precision == "auto" else self.precision
        return Tuning(precision=precision, batch=self.batch or (GPU_BATCH if gpu else 1), compiled=self.compiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One tuning and what it took."""

    tuning: Tuning
    seconds_per_tile: float
    """Wall time of the machine, all its cores at work, over tiles."""


Runner: TypeAlias = Callable[[Tuning, Sequence[TileInput]], list[Reconstruction]]
"""Runs tiles of one size together in the calling thread, with the weights placed as the tuning says."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """Tries tunings on sample tiles with as many threads as the run will have."""

    run: Runner
    samples: Sequence[TileInput]
    """Tiles of the scene, of one size; a batch repeats them."""
    threads: int
    """Cores that the run may use."""
    most_at_once: int
    """Groups of tiles that the run may have in work at the same time."""
    clock: Callable[[], float] = time.perf_counter

    def time(self, tuning: Tuning) -> Trial | None:
        """Best of two rounds after one to warm up, every core at work; None when it does not fit into a GPU's memory."""
        import torch  # noqa: PLC0415 - a run without a network never needs it

        side_by_side = max(1, min(self.most_at_once, self.threads // tuning.torch_threads))
        batch = list(islice(cycle(self.samples), tuning.batch))
        try:
            with ThreadPoolExecutor(side_by_side, initializer=torch.set_num_threads, initargs=(tuning.torch_threads,)) as pool:
                rounds = [self._round(pool, tuning, batch, side_by_side) for _ in range(3)]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return None
        return Trial(tuning=tuning, seconds_per_tile=min(rounds[1:]) / (side_by_side * tuning.batch))

    def _round(self, pool: ThreadPoolExecutor, tuning: Tuning, batch: list[TileInput], count: int) -> float:
        began = self.clock()
        for future in [pool.submit(self.run, tuning, batch) for _ in range(count)]:
            future.result()
        return self.clock() - began

    def answers(self, tuning: Tuning) -> list[FloatArray]:
        """Means of the sample tiles."""
        return [self.run(tuning, [tile])[0].mean for tile in self.samples]


def tune(
    bench: Bench, wishes: Wishes, *, gpu: bool, tiles: int, fits: Callable[[Tuning], bool] = lambda _: True
) -> tuple[Tuning, tuple[Trial, ...]]:
    """Find the fastest way to run a network, one setting after the other.

    Args:
        bench: Where trials are run.
        wishes: What must not be changed.
        gpu: Whether the network runs on a GPU.
        tiles: Tiles that the run will compute.
        fits: Whether a run so tuned would keep within the memory allowed; what does not is not tried.

    Returns:
        The choice, and every trial that was made for it.
    """
    best = wishes.start(gpu=gpu)
    if tiles < TUNE_FROM_TILES:
        return best, ()
    began = bench.clock()
    first = bench.time(best)
    if first is None:  # the run halves batches that do not fit, and says so
        return best, ()
    trials = [first]
    fastest = first
    for group in _candidates(wishes, gpu=gpu, threads=bench.threads):
        for change in group:
            if bench.clock() - began > MOST_SHARE * tiles * fastest.seconds_per_tile:
                return fastest.tuning, tuple(trials)
            candidate = replace(fastest.tuning, **change)
            if candidate == fastest.tuning:
                continue
            if not fits(candidate):
                break
            trial = bench.time(candidate)
            if trial is None:
                break
            trials.append(trial)
            if trial.seconds_per_tile * LEAST_GAIN > fastest.seconds_per_tile or not _close_enough(bench, fastest.tuning, candidate):
                break
            fastest = trial
    return fastest.tuning, tuple(trials)


def _candidates(wishes: Wishes, *, gpu: bool, threads: int) -> Iterator[list[dict[str, Any]]]:
    """Changes to try, in groups of rising values that end with the first one that does not help."""
    if wishes.precision == "auto":
        yield [{"precision": "bf16"}]
    yield [{"channels_last": False}]
    if wishes.batch is None:
        yield [{"batch": batch} for batch in (GPU_BATCHES if gpu else CPU_BATCHES)]
    if threads > 1 and not gpu:
        yield [{"torch_threads": threads}]


def _close_enough(bench: Bench, old: Tuning, new: Tuning) -> bool:
    """Whether a lower precision answers as the higher one does; other changes only round differently."""
    if old.precision == new.precision:
        return True
    return within_tolerance(bench.answers(old), bench.answers(new))


def within_tolerance(reference: Sequence[FloatArray], answers: Sequence[FloatArray], *, tolerance: float = BF16_TOLERANCE) -> bool:
    """Whether 99.9 % of all values lie within `tolerance` reflectance of the reference, and all are finite where the reference is."""
    differences = np.concatenate([np.abs(new - old).ravel() for old, new in zip(reference, answers, strict=True)])
    known = np.concatenate([np.isfinite(old).ravel() for old in reference])
    if not np.isfinite(differences[known]).all():  # one such value would stop the run
        return False
    return bool(np.mean(differences[known] <= tolerance) >= 0.999) if known.any() else True
