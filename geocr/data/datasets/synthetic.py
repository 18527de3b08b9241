"""`synthetic`: patches of the demo's generator. Needs no download; every sample has its truth and its true cloud mask."""

from pathlib import Path
from typing import ClassVar, Unpack

import numpy as np

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.data.datasets.base import FusionDataset, Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.record import Records, SampleRecord, Scan
from geocr.data.sample import FusionSample
from geocr.io.grid import SceneGrid
from geocr.simulate.scene import MIN_SIDE, simulate_scene

_SPLITS = ("train", "val", "test")


class Synthetic(FusionDataset):
    """Invented scenes of one patch each, the same for the same seed, in any order and any process.

    Args:
        root: Not read; there so that every data set is built alike.
        length: Samples per split.
        size_px: Side of a patch, at least 64.
        seed: Of the whole set. Splits draw from separate seeds: no place is in two of them.
        cloud_cover: `(least, greatest)` share of cloud, 0 to 1; drawn evenly for each sample.
        nodata_wedge: Leave a corner of the optical image unobserved.
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="synthetic",
        title="Invented 13-band scenes with clouds, shadows and Sentinel-1, made from a seed (the generator of `geocr demo`)",
        sar_bands=S1_BANDS,
        optical_bands=L1C_BANDS,
        sar_unit="db",
        optical_unit="reflectance",
        keys=("cloudy", "clear", "cloud_mask"),
        nodata="cloudy and clear are NaN in the unobserved wedge, if one is asked for; sar is complete",
        mask="the simulation's own truth",
        splits=_SPLITS,
        split_rule="separate seeds",
        size="any number (256 per split), any size (256 x 256)",
        licence="none needed: it is computed",
        citation="geocr",
        download="nothing to download",
        layout="no files",
    )

    def __init__(
        self,
        root: str | Path = ".",
        *,
        length: int = 256,
        size_px: int = 256,
        seed: int = 0,
        cloud_cover: tuple[float, float] = (0.1, 0.7),
        nodata_wedge: bool = False,
        **options: Unpack[Options],
    ) -> None:
        if length < 1 or size_px < MIN_SIDE or seed < 0:
            raise InputError(f"synthetic needs length >= 1, size_px >= {MIN_SIDE} and seed >= 0, got {length}, {size_px}, {seed}")
        if not 0 <= cloud_cover[0] <= cloud_cover[1] <= 1:
            raise InputError(f"cloud_cover is a pair (least, greatest) between 0 and 1, got {cloud_cover}")
        self.length, self.size_px, self.seed = length, size_px, seed
        self.cloud_cover, self.nodata_wedge = cloud_cover, nodata_wedge
        super().__init__(root, **options)

    def settings(self) -> dict[str, object]:
        """As the base class."""
        own = {"size_px": self.size_px, "seed": self.seed, "cloud_cover": list(self.cloud_cover), "nodata_wedge": self.nodata_wedge}
        return super().settings() | own

    def _scan(self) -> Scan:
        return Scan(
            samples=Records.patterned(
                {SampleRecord(id=f"{split}-{{n}}", roi=f"{split}-{{n}}", split=split): range(self.length) for split in _SPLITS}
            )
        )

    def _load(self, record: SampleRecord) -> FusionSample:
        split, _, number = record.id.partition("-")
        draws = np.random.default_rng([self.seed, _SPLITS.index(split), int(number)])
        scene = simulate_scene(
            shape=(self.size_px, self.size_px),
            seed=int(draws.integers(2**31)),
            cloud_cover=float(draws.uniform(*self.cloud_cover)),
            bands=self.optical_bands,
            nodata_wedge=self.nodata_wedge,
        )
        polarisations = [S1_BANDS.index(band) for band in self.sar_bands]
        return self._assemble(
            record,
            sar=[scene.sar_db[polarisations]] if polarisations else [],
            cloudy=[scene.cloudy],
            clear=scene.clear,
            masks=[scene.cloud_mask | scene.shadow_mask],
            grid=SceneGrid(crs=scene.crs, transform=scene.transform, shape=(self.size_px, self.size_px)),
        )
