"""`FusionDataModule`: any data set of the table as Lightning's loaders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import Compose

from geocr.core.errors import InputError
from geocr.data.collate import FusionBatch, collate_samples
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset, OnError
from geocr.data.datasets.record import SampleRecord
from geocr.data.epochs import EpochSampler
from geocr.data.sample import FusionSample
from geocr.data.transforms import CentreCrop, RandomCrop, RandomTurns
from geocr.data.worker import prepare_worker

Transform = Callable[[FusionSample], FusionSample]


class FusionDataModule(LightningDataModule):
    """Loaders for training, validation and test.

    Batches are `FusionBatch`: tensors stacked, `meta` a list that is kept on the host.

    Args:
        dataset: Name in the table `geocr.data.datasets.DATASETS`.
        root: Its folder.
        batch_size: Samples in a batch.
        num_workers: Processes that read; 0 reads in this one.
        crop_px: Side of the window cut from each sample: at random in training, from the middle else. Whole samples when None.
        augment: Flip and turn training samples at random.
        train_transforms: Applied to training samples after that, in order.
        on_error: `stop` or `skip` for training; validation and test always stop.
        keep: Which records to use, of all splits; see `geocr.data.index.index_filter`.
        seed: Order of training samples; the same seed gives the same order and the same augmentations.
        pin_memory: Copy batches to page-locked memory; where there is a GPU when None.
        options: Further arguments of the data set, for example `optical_bands`.

    Raises:
        InputError: When sizes or numbers are out of range.
        RegistryError: When there is no such data set.
    """

    def __init__(
        self,
        dataset: str,
        root: str | Path,
        *,
        batch_size: int = 8,
        num_workers: int = 0,
        crop_px: int | None = None,
        augment: bool = True,
        train_transforms: tuple[Transform, ...] = (),
        on_error: OnError = "stop",
        keep: Callable[[SampleRecord], bool] | None = None,
        seed: int = 0,
        pin_memory: bool | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0:
            raise InputError(
                f"a batch has at least one sample and workers are not negative, got batch_size={batch_size}, num_workers={num_workers}"
            )
        self.kind: type[FusionDataset] = DATASETS.load(dataset)
        self.root = Path(root)
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.on_error: OnError = on_error
        self.keep = keep
        self.options = dict(options or {})
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        cut: tuple[Transform, ...] = () if crop_px is None else (RandomCrop(crop_px),)
        self._train_transforms = (*cut, *((RandomTurns(),) if augment else ()), *train_transforms)
        self._eval_transforms: tuple[Transform, ...] = () if crop_px is None else (CentreCrop(crop_px),)
        self._sets: dict[str, FusionDataset] = {}

    def setup(self, stage: str | None = None) -> None:
        """Make the data sets a stage needs; Lightning calls it.

        Args:
            stage: `fit`, `validate`, `test`, `predict`, or None for all.

        Raises:
            MissingDataError: When the data are not there.
        """
        wanted = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("test",)}
        for split in wanted.get(stage or "", ("train", "val", "test")):
            if split not in self._sets:
                self._sets[split] = self._make(split)

    def dataset(self, split: str) -> FusionDataset:
        """The data set of a split, made when it is first asked for."""
        if split not in self._sets:
            self._sets[split] = self._make(split)
        return self._sets[split]

    def eval_transform(self) -> Transform | None:
        """What validation and test samples go through: the middle window, or nothing."""
        return Compose(list(self._eval_transforms)) if self._eval_transforms else None

    def train_dataloader(self) -> DataLoader[FusionBatch]:
        """Training batches in random order; a last incomplete one is left out where there are full ones."""
        dataset = self.dataset("train")
        return self._loader(dataset, shuffle=True, drop_last=len(dataset) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[FusionBatch]:
        """Validation batches in the set's own order."""
        return self._loader(self.dataset("val"), shuffle=False, drop_last=False)

    def test_dataloader(self) -> DataLoader[FusionBatch]:
        """Test batches in the set's own order."""
        return self._loader(self.dataset("test"), shuffle=False, drop_last=False)

    def predict_dataloader(self) -> DataLoader[FusionBatch]:
        """The test batches."""
        return self.test_dataloader()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ANN401 - Lightning's signature
        """Move tensors and leave `meta` on the host; Lightning's own way refuses frozen dataclasses such as a grid."""
        del dataloader_idx
        return {key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for key, value in batch.items()}

    def _make(self, split: str) -> FusionDataset:
        train = split == "train"
        known = self.kind.card.splits
        if known and split not in known:
            raise InputError(f"{self.kind.card.name} has the splits {', '.join(known)}; it has no {split!r}")
        augmented: Transform | None = Compose(list(self._train_transforms)) if self._train_transforms else None
        dataset = self.kind(
            self.root,
            split=split if known else None,
            on_error=self.on_error if train else "stop",
            transforms=augmented if train else self.eval_transform(),
            **self.options,
        )
        if self.keep is None:
            return dataset
        kept = dataset.filtered(self.keep)
        if not len(kept):
            raise InputError(
                f"`keep` must leave samples in each split; of {len(dataset)} of {split} it leaves none (the first is {dataset.identify(0)}): "
                "relax its bounds, or make the index of the set as it is used here"
            )
        return kept

    def _loader(self, dataset: FusionDataset, *, shuffle: bool, drop_last: bool) -> DataLoader[FusionBatch]:
        samples: Any = dataset
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(
            samples,
            batch_size=self.batch_size,
            sampler=EpochSampler(samples, generator=generator) if shuffle else None,
            drop_last=drop_last,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.pin_memory,
            collate_fn=collate_samples,
            worker_init_fn=prepare_worker,
            generator=generator,
        )
