"""Predictions as Cloud-Optimized GeoTIFFs, each on exactly the grid of its sample."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geocr._version import __version__
from geocr.core.errors import InputError
from geocr.core.types import FloatArray
from geocr.data.sample import FusionSample
from geocr.evaluation.prediction import Prediction
from geocr.io.cog import assemble_cog, colour_names, sync_rename
from geocr.io.failure import naming_failure
from geocr.io.part import PartWriter
from geocr.io.spec import RasterSpec


@dataclass(slots=True, eq=False)
class CogFolder:
    """Takes predictions and writes each to `<folder>/<method>/<sample>.tif`, with a variance also `<sample>_std.tif`.

    Pixels are float32 in the sample's optical unit, as predicted, not clipped; NaN is nodata. Each file takes its name when it is whole.
    """

    folder: Path
    """Where to."""
    written: list[Path] = field(default_factory=list)
    """Files so far."""

    def adopt(self, predictions: Sequence[tuple[str, str]]) -> bool:
        """Take files of before, by method and sample, as written; False, and none is taken, where one is missing."""
        targets = [self.folder / _file_name(name) / f"{_file_name(identifier)}.tif" for name, identifier in predictions]
        if not all(target.is_file() for target in targets):
            return False
        deviations = [target.with_name(f"{target.stem}_std.tif") for target in targets]
        self.written += [*targets, *(deviation for deviation in deviations if deviation.is_file())]
        return True

    def write(self, name: str, sample: FusionSample, prediction: Prediction, bands: tuple[str, ...]) -> None:
        """Write one prediction.

        Raises:
            InputError: When the sample has no georeference, or two samples would share a file.
            OutputWriteError: When it cannot be written.
        """
        stem = _file_name(sample["meta"]["id"])
        self._write(self.folder / _file_name(name) / f"{stem}.tif", name, sample, (prediction.mean.numpy(), bands))
        if prediction.variance is not None:
            std = prediction.variance.sqrt().numpy()
            self._write(self.folder / _file_name(name) / f"{stem}_std.tif", name, sample, (std, bands))

    def _write(self, target: Path, name: str, sample: FusionSample, raster: tuple[FloatArray, tuple[str, ...]]) -> None:
        meta = sample["meta"]
        pixels, bands = raster
        if meta["grid"] is None:
            raise InputError(f"an export lies on its sample's grid, and sample {meta['id']} has no georeference; leave --export out")
        if target in self.written:
            raise InputError(f"each prediction has a file of its own; two samples of the run would be {target}: rename one in the data set")
        spec = RasterSpec(
            grid=meta["grid"],
            count=len(bands),
            dtype="float32",
            nodata=float("nan"),
            descriptions=bands,
            colorinterp=colour_names(bands),
            tags={
                "GEOCR_VERSION": __version__,
                "GEOCR_METHOD": name,
                "GEOCR_DATASET": meta["dataset"],
                "GEOCR_SAMPLE": meta["id"],
                "GEOCR_UNIT": meta["optical_unit"],
                "ATTRIBUTION": "Contains modified Copernicus Sentinel data",
            },
        )
        part, whole = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.whole.tif")
        with naming_failure(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer = PartWriter(part, spec, row=0, height=spec.grid.shape[0])
            writer.write(np.ascontiguousarray(pixels, np.float32))
            writer.finish()
            assemble_cog([(part, 0, spec.grid.shape[0])], whole, spec)
            sync_rename(whole, target)
        finally:
            part.unlink(missing_ok=True)
            whole.unlink(missing_ok=True)
        self.written.append(target)


def _file_name(text: str) -> str:
    """A name as part of a path: what is no letter, digit, dot or one of `_+-` becomes `_`."""
    return re.sub(r"[^\w.+-]", "_", text)
