"""Patches of 38-Cloud on disk: a folder for each band, file names that differ in the band only."""

from pathlib import Path

import numpy as np

from geocr.core.errors import MissingDataError, RasterReadError
from geocr.core.types import NumberArray
from geocr.io.raster import open_raster

_FOLDERS = ("38-Cloud_training", ".")
"""Where the band folders lie under the root: as it is unpacked, or as given."""


class CloudPatches:
    """The training patches of a 38-Cloud folder.

    Args:
        root: Folder with `train_blue`, `train_green`, `train_red`, `train_nir` and `train_gt`, or with `38-Cloud_training` that
            has them.

    Raises:
        MissingDataError: When there are no such folders.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = next((Path(root) / name for name in _FOLDERS if (Path(root) / name / "train_gt").is_dir()), None) or Path()
        if not (self.root / "train_gt").is_dir():
            there = sorted(path.name for path in Path(root).iterdir())[:8] if Path(root).is_dir() else []
            raise MissingDataError(
                f"38-Cloud has its patches in train_blue, train_green, train_red, train_nir and train_gt; looked for in {root}, found "
                f"{', '.join(there) or 'nothing'}; get it from https://github.com/SorourMo/38-Cloud-A-Cloud-Segmentation-Dataset"
            )

    def names(self) -> list[str]:
        """All patches, sorted: `patch_<n>_<r>_by_<c>_<scene>`."""
        return sorted(
            path.stem.removeprefix("gt_") for path in (self.root / "train_gt").iterdir() if path.suffix.lower() in (".tif", ".tiff")
        )

    def read(self, name: str, bands: tuple[str, ...]) -> NumberArray:
        """Bands of a patch, `(band, 384, 384)` in the files' dtype.

        Args:
            name: As by `names`.
            bands: Of `blue`, `green`, `red`, `nir` and `gt` (the mask).

        Raises:
            MissingDataError: When a band's file is missing.
            RasterReadError: When it cannot be read.
        """
        return np.stack([self._band(name, band) for band in bands])

    def _band(self, name: str, band: str) -> NumberArray:
        found = [path for path in (self.root / f"train_{band}" / f"{band}_{name}{suffix}" for suffix in (".TIF", ".tif")) if path.exists()]
        if not found:
            raise MissingDataError(
                f"a patch of 38-Cloud has a file for each band; there is no {band}_{name}.TIF in {self.root / f'train_{band}'}"
            )
        with open_raster(str(found[0])) as source:
            try:
                pixels: NumberArray = source.read(1)
            except Exception as error:
                raise RasterReadError(f"patches must decode; {found[0]} does not ({error}); fetch it again") from error
        return pixels
