"""Telling a data set which epoch begins."""

from collections.abc import Iterator

from torch.utils.data import RandomSampler

from geocr.data.datasets.base import FusionDataset


class EpochSampler(RandomSampler):
    """torch's `RandomSampler` over a data set that hears, at the start of each pass, how many went before.

    Sets that draw (the dates of a series) then draw anew in each epoch, also in workers that live through all of them. Lightning calls
    `set_epoch` by itself; a plain loop need not.

    Attributes:
        epoch: The pass that begins next.
    """

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins next; passes after it count on."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if isinstance(self.data_source, FusionDataset):
            self.data_source.set_epoch(self.epoch)
        self.epoch += 1
        return iter(super().__iter__())
