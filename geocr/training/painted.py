"""Scenes without a clear partner: clouds painted where the ground is clear, which then is the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geocr.clouds.synthesize import CloudSpec, Level, paint_clouds
from geocr.core.errors import RasterNotFoundError, SampleError
from geocr.data.blocks import Bounds, split_blocks
from geocr.data.pairs import ScenePairs
from geocr.data.sample import FusionSample
from geocr.data.samplers import GridSceneSampler, Patch, RandomSceneSampler
from geocr.data.sentinel import Sentinel1Scenes, Sentinel2Scenes
from geocr.data.shares import ShareFilter
from geocr.data.transforms import RandomTurns
from geocr.radiometry.normalize import DISPLAY_RANGE
from geocr.training.config import CloudsConfig, DataConfig
from geocr.training.draws import drawing_from

DEFAULT_PATCH_PX = 256
SPLIT = {"train": 0.8, "val": 0.2, "test": 0.0}
"""Blocks of ground: nothing is kept for a test, which wants scenes of its own."""
_SEED_RANGE = 2**31


@dataclass(frozen=True, slots=True)
class PaintClouds:
    """A transform: the cloudy image becomes the truth where it is clear, and what is painted over it becomes the cloudy image.

    Real clouds stay in the input and in the mask; below them there is no truth, and `valid_mask` is False.
    """

    clouds: CloudsConfig
    """How much, and of what size."""
    level: Level
    """Processing level of the reflectances."""

    def __call__(self, sample: FusionSample) -> FusionSample:
        """Paint by draws from torch's generator.

        Raises:
            SampleError: When the sample has no image to paint over.
        """
        if "cloudy" not in sample:
            raise SampleError(f"clouds are painted over an image; sample {sample['meta']['id']} has none")
        meta = sample["meta"]
        clear = sample["cloudy"][0]
        white = DISPLAY_RANGE[1] if meta["optical_unit"] == "display" else 1.0
        cover, size_m = _between(self.clouds.cover), _between(self.clouds.size_m)
        bands = meta["optical_bands"]
        cloudy, cloud, shadow = paint_clouds(
            (clear / white).numpy(),
            bands,
            spec=CloudSpec(cover=cover, size_m=size_m),
            rng=np.random.default_rng(int(torch.randint(_SEED_RANGE, ()))),
            level=self.level,
        )
        real = sample.get("cloud_mask")
        painted = torch.from_numpy(cloud | shadow)[None]
        sample["clear"] = clear
        # where nothing was painted the image stays what it was, to the last bit
        sample["cloudy"] = torch.where(
            painted, torch.from_numpy(np.clip(cloudy * np.float32(white), 0, None if white == 1 else white)), clear
        )[None]
        sample["cloud_mask"] = painted if real is None else painted | real
        if real is not None:
            sample["valid_mask"] = sample["valid_mask"] & ~real[0]
        return sample


class SceneSource:
    """Patches at random places of scenes, anew in each epoch, under painted clouds.

    Args:
        pairs: The scenes.
        sampler: Where patches are cut.
        paint: Paints them.
        augment: Flip and turn them.
    """

    def __init__(self, pairs: ScenePairs, sampler: RandomSceneSampler | GridSceneSampler, paint: PaintClouds, *, augment: bool) -> None:
        self.pairs, self.sampler, self.paint = pairs, sampler, paint
        self.turn = RandomTurns() if augment else None

    def __len__(self) -> int:
        return len(self.sampler)

    def order(self, epoch: int) -> Iterator[Patch]:
        """The sampler's patches of an epoch."""
        if isinstance(self.sampler, RandomSceneSampler):
            self.sampler.set_epoch(epoch)
        return iter(self.sampler)

    def read(self, item: Patch, epoch: int) -> FusionSample:  # noqa: ARG002 - as `SampleSource` has it
        """Read a patch and paint over it. Painted before it is turned: shadows then fall to all sides."""
        sample = self.paint(self.pairs[item])
        return sample if self.turn is None else self.turn(sample)


class PaintedGrid:
    """The validation patches of scenes by number, each under clouds that never change.

    Args:
        source: Where they come from; its sampler is a grid.
        seed: Of the clouds.
    """

    def __init__(self, source: SceneSource, *, seed: int) -> None:
        self.source, self.seed = source, seed
        self.patches = list(source.order(0))

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: int) -> FusionSample:
        """The patch at an index."""
        with drawing_from(self.seed, "validation", index):
            return self.source.read(self.patches[index], 0)


def open_scenes(data: DataConfig, **bands: Sequence[str]) -> ScenePairs:
    """The scenes that patterns name.

    Args:
        data: `s1`, `s2` and how they are read.
        **bands: `optical` and `sar`, where not all are wanted.

    Raises:
        RasterNotFoundError: When a pattern names no file.
        GeoreferenceError: When no scene has a partner.
    """
    options = dict(data.options)
    s1_options = {name: options.pop(name) for name in ("s1_units",) if name in options}
    s2_options: dict[str, Any] = options
    if "optical" in bands:
        s2_options["bands"] = tuple(bands["optical"])
    if "sar" in bands:
        s1_options["bands"] = tuple(bands["sar"])
    s2 = Sentinel2Scenes(_files(data.s2, "Sentinel-2"), **s2_options)
    s1 = Sentinel1Scenes(_files(data.s1, "Sentinel-1"), **s1_options)
    return ScenePairs(s2, s1, max_days=data.max_days, cloud_mask=data.cloud_mask)


def scene_sources(data: DataConfig, pairs: ScenePairs, *, level: Level, seed: int) -> tuple[SceneSource, PaintedGrid]:
    """Training patches and validation patches of the same scenes, in blocks of ground apart from each other.

    Raises:
        NoPatchError: When no patch fits.
        InputError: When the ground gives too few blocks.
    """
    size = DEFAULT_PATCH_PX if data.crop_px is None else data.crop_px
    res = max(pairs.res)
    extents: list[Bounds] = [geometry.bounds for geometry in pairs.index.geometry]
    blocks = split_blocks(extents, size=data.block_px * res, gap=data.gap_px * res, least=size * res, fractions=SPLIT, seed=seed)
    keep = ShareFilter(pairs, max_cloud=1.0 if pairs.masks is None else data.max_cloud, min_valid=0.5)
    train = RandomSceneSampler(pairs, size, length=data.patches, seed=seed, regions=blocks.regions("train"), keep=keep)
    val = GridSceneSampler(pairs, size, regions=blocks.regions("val"), keep=keep)
    paint = PaintClouds(data.clouds, level)
    unturned = SceneSource(pairs, val, paint, augment=False)
    return SceneSource(pairs, train, paint, augment=data.augment), PaintedGrid(unturned, seed=seed)


def _files(patterns: Sequence[str], modality: str) -> list[str]:
    found = sorted({path for pattern in patterns for path in glob(pattern, recursive=True)})  # noqa: PTH207 - absolute patterns
    if not found:
        raise RasterNotFoundError(
            f"{modality} scenes are named by patterns such as 'scenes/*.tif'; {', '.join(patterns) or 'none'} in {Path.cwd()} names no file"
        )
    return found


def _between(bounds: tuple[float, float]) -> float:
    low, high = bounds
    return low + (high - low) * float(torch.rand(()))
