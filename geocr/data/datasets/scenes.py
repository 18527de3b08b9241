"""Patches of whole scenes in any CRS and resolution, split by blocks of ground.

The map-style door to `geocr.data.pairs.ScenePairs`: the same samples by number instead of by place.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import NoPatchError, RasterNotFoundError
from geocr.data.blocks import DEFAULT_FRACTIONS, SPLITS, BlockSplit, Bounds, split_blocks
from geocr.data.datasets.base import FusionDataset, OnError, Transform
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.record import SampleRecord, Scan
from geocr.data.pairs import MAX_DAYS, ScenePairs, open_pairs
from geocr.data.sample import FusionSample
from geocr.data.samplers import GridSceneSampler, Patch

_CARD = DatasetCard(
    name="scenes",
    title="your own Sentinel-1 and Sentinel-2 scenes, cut into patches",
    sar_bands=S1_BANDS,
    optical_bands=L1C_BANDS,
    sar_unit="db",
    optical_unit="reflectance",
    keys=("cloudy", "clear", "cloud_mask"),
    nodata="sar: the file's nodata, or no echo; cloudy, clear: the file's nodata (0 without one) in all bands",
    mask="masks/ beside the scenes, or found on the fly with cloud_mask='auto'",
    splits=SPLITS,
    split_rule="by square blocks of ground with a gap between them, 80/10/10, the same for all dates (geocr/data/blocks.py)",
    size="as many patches as the scenes hold; 256 pixels by default",
    licence="that of the scenes; Copernicus Sentinel data are free and open",
    citation="Copernicus Sentinel data [year], ESA",
    download="put rasters into s1/, s2/ and, where there are clear ones, s2_clear/; times in the names, as in S2_20230813T100559.tif",
    layout="{s1,s2[,s2_clear][,masks]}/<any>_<YYYYMMDD[Thhmmss]>_<any>.tif, in any CRS and resolution; masks named as the scenes of s2",
)


class Scenes(FusionDataset):
    """Patches of scenes; every scene's header is read once, when the dataset is made.

    Args:
        root: Folder with `s1`, `s2` and, where there are clear scenes, `s2_clear`; `masks` when there are any.
        split: `train`, `val` or `test`; None for all patches, those on the borders of blocks too.
        patch_px: Side of a patch.
        stride_px: Distance between patches; `patch_px` when None.
        block_px: Side of a block of the split.
        gap_px: Least distance between patches of different splits.
        fractions: Split to share of the blocks.
        seed: Another seed is another split.
        max_days: Greatest distance in days between a cloudy scene and its partners; None pairs whatever overlaps.
        cloud_mask: `auto`, a detector's name, or a folder of masks; `masks` of the root when None and there is one.
        sar_bands: As the base class.
        optical_bands: As the base class; those of the first scene when None.
        on_error: As the base class.
        transforms: As the base class.
        validate: As the base class.
        **options: As `geocr.data.pairs.open_pairs`: `crs`, `res`, `s2_bands`, `s2_scale`, `s2_offset`, `s1_units`.

    Raises:
        InputError: When patches fit into fewer blocks than there are splits.

    Attributes:
        pairs: The torchgeo dataset behind it.
        blocks: The split.
    """

    card = _CARD

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = "train",
        patch_px: int = 256,
        stride_px: int | None = None,
        block_px: int = 1280,
        gap_px: int = 64,
        fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
        seed: int = 0,
        max_days: float | None = MAX_DAYS,
        cloud_mask: str | Path | None = None,
        sar_bands: Sequence[str] | None = None,
        optical_bands: Sequence[str] | None = None,
        on_error: OnError = "stop",
        transforms: Transform | None = None,
        validate: bool = False,
        **options: Any,  # noqa: ANN401 - those of the readers
    ) -> None:
        self.root = Path(root)
        bands: dict[str, Any] = {} if optical_bands is None else {"bands": tuple(optical_bands)}
        bands |= {} if sar_bands is None else {"sar_bands": tuple(sar_bands)}
        self._reading = {"patch_px": patch_px, "max_days": max_days, "masks": str(cloud_mask)} | {
            key: repr(options[key]) for key in options
        }
        self.pairs = self._open(max_days=max_days, cloud_mask=cloud_mask, on_error=on_error, **bands, **options)
        self.patch_px, self.stride_px = patch_px, stride_px
        self.blocks = self._split_ground(block_px, gap_px, fractions, seed) if split is not None else None
        self._places: dict[str, tuple[int, Patch]] = {}
        super().__init__(
            root,
            split=split,
            sar_bands=self.pairs.sar.bands,
            optical_bands=self.pairs.cloudy.bands,
            on_error=on_error,
            transforms=transforms,
            validate=validate,
        )

    def settings(self) -> dict[str, object]:
        """As the base class."""
        return super().settings() | self._reading

    def _open(self, **options: Any) -> ScenePairs:  # noqa: ANN401 - those of the readers
        try:
            return open_pairs(self.root, **options)
        except RasterNotFoundError as error:
            there = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
            raise self.missing_data("scenes in s1 and s2", f"{', '.join(there[:8]) or 'nothing'} ({error})") from error

    def _split_ground(self, block_px: int, gap_px: int, fractions: Mapping[str, float], seed: int) -> BlockSplit:
        res = max(self.pairs.res)
        extents: list[Bounds] = [geometry.bounds for geometry in self.pairs.index.geometry]
        least = self.patch_px * res
        return split_blocks(extents, size=block_px * res, gap=gap_px * res, least=least, fractions=fractions, seed=seed)

    def _scan(self) -> Scan:
        records = []
        for split in SPLITS if self.blocks is not None else (None,):
            if self.blocks is not None and split not in self.blocks.blocks.values():
                continue
            regions = None if self.blocks is None or split is None else self.blocks.regions(split)
            sampler = self._grid(regions)
            for row, patch in [] if sampler is None else zip(sampler.rows, sampler.patches, strict=True):
                records.append(self._record(row, patch, split))
        return Scan(samples=tuple(sorted(records, key=lambda record: record.id)))

    def _grid(self, regions: Sequence[Bounds] | None) -> GridSceneSampler | None:
        """Patches inside regions; None where they hold none."""
        try:
            return GridSceneSampler(self.pairs, self.patch_px, stride_px=self.stride_px, regions=regions)
        except NoPatchError:
            return None

    def _record(self, row: int, patch: Patch, split: str | None) -> SampleRecord:
        pair = self.pairs.pair(row)
        x, y, _ = patch
        scene = re.sub(r"[^\w.-]", "_", Path(pair.cloudy).stem)
        name = f"{scene}/{x.start:.10g}_{y.stop:.10g}"
        self._places[name] = (row, patch)
        times = self.pairs.dates(pair)
        return SampleRecord(
            id=name,
            roi=scene,
            split=split,
            date=times["clear"] or times["cloudy"][0],
            sar=tuple(map(self._relative, pair.sar)),
            cloudy=(self._relative(pair.cloudy),),
            clear=None if pair.clear is None else self._relative(pair.clear),
            sar_dates=times["sar"] * len(pair.sar),
            cloudy_dates=times["cloudy"],
        )

    def _load(self, record: SampleRecord) -> FusionSample:
        row, (x, y, _) = self._places[record.id]
        sample = self.pairs.read(row, x, y)
        sample["meta"]["id"], sample["meta"]["split"] = record.id, record.split
        sample["meta"]["roi"] = record.roi
        return sample

    def _relative(self, path: str) -> str:
        absolute = self.root.absolute()
        return Path(path).relative_to(absolute).as_posix() if Path(path).is_relative_to(absolute) else path
