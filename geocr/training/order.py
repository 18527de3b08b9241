"""Which samples make which batch: a function of seed and number, so that a run can go on from any batch."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch.utils.data import Dataset, Sampler

from geocr.core.errors import InputError
from geocr.data.sample import FusionSample
from geocr.training.draws import drawing_from, seed_of


class SampleKey(NamedTuple):
    """One sample of one epoch: what the loader's workers are handed."""

    epoch: int
    """Epochs before it."""
    position: int
    """Its place in the epoch's order."""
    item: Any
    """What the source reads it by."""


class SampleSource(Protocol):
    """Where samples come from."""

    def __len__(self) -> int:
        """Samples in an epoch."""
        ...

    def order(self, epoch: int) -> Iterator[Any]:
        """The items of an epoch; the same epoch gives the same items."""
        ...

    def read(self, item: Any, epoch: int) -> FusionSample:  # noqa: ANN401 - an index or a query
        """The sample of an item; draws come from torch's generator."""
        ...


class SetSource:
    """A data set of numbered samples, shuffled anew in each epoch.

    Args:
        dataset: Of samples by index, with `set_epoch`.
        seed: Another seed is another order.
    """

    def __init__(self, dataset: Any, *, seed: int) -> None:  # noqa: ANN401 - any FusionDataset
        self.dataset, self.seed = dataset, seed
        self._epoch: int | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def order(self, epoch: int) -> Iterator[int]:
        """A permutation of the indices."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, "order", epoch))
        return iter(torch.randperm(len(self.dataset), generator=generator).tolist())

    def read(self, item: int, epoch: int) -> FusionSample:
        """The sample at an index, as the set gives it in this epoch."""
        if self._epoch != epoch:
            self.dataset.set_epoch(epoch)
            self._epoch = epoch
        sample: FusionSample = self.dataset[item]
        return sample


class SeededSamples(Dataset[FusionSample]):
    """Samples by `SampleKey`, each drawing from a generator of its own: the same whatever worker reads it.

    Args:
        source: Where they come from.
        seed: Of the augmentations.
    """

    def __init__(self, source: SampleSource, *, seed: int) -> None:
        self.source, self.seed = source, seed

    def __getitem__(self, key: SampleKey) -> FusionSample:
        """Read and augment a sample."""
        with drawing_from(self.seed, "sample", key.epoch, key.position):
            return self.source.read(key.item, key.epoch)


class BatchStream(Sampler[list[SampleKey]]):
    """Batches of all epochs, one after the other without end, from any number on.

    A last incomplete batch of an epoch is left out, where there are full ones. With several processes, batch `n` of a process
    is one of `world` neighbouring slices of the same order.

    Args:
        source: Where samples come from.
        size: Samples in a batch of one process.
        start: Number of the first batch.
        rank: This process.
        world: How many processes.

    Raises:
        InputError: When there are fewer samples than processes.
    """

    def __init__(self, source: SampleSource, *, size: int, start: int = 0, rank: int = 0, world: int = 1) -> None:
        if len(source) < world:
            raise InputError(f"each of {world} processes needs a sample, and an epoch has {len(source)}; use fewer devices")
        self.source, self.start, self.rank, self.world = source, start, rank, world
        self.size = min(size, len(source) // world)
        self.per_epoch = len(source) // (self.size * world)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """Batches from `start` on; never ends."""
        epoch, skip = divmod(self.start, self.per_epoch)
        while True:
            yield from self._of_epoch(epoch, skip)
            epoch, skip = epoch + 1, 0

    def _of_epoch(self, epoch: int, skip: int) -> Iterator[list[SampleKey]]:
        order, whole = self.source.order(epoch), self.size * self.world
        for number in range(self.per_epoch):
            keys = [SampleKey(epoch, number * whole + place, item) for place, item in zip(range(whole), order, strict=False)]
            if number >= skip:
                yield keys[self.rank * self.size : (self.rank + 1) * self.size]
