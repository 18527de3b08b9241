"""`ds.geocr`, the accessor: every method one call downward."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import xarray as xr

from geocr.accessor.layout import XarrayObject
from geocr.accessor.plan import CubePlan
from geocr.accessor.result import attach, provenance_of
from geocr.accessor.run import lazy_mask, lazy_result
from geocr.accessor.series import MaskInput, SarInput, Wishes, runs_of
from geocr.accessor.stack import ImageStack, optical_stack
from geocr.accessor.wording import speaks_python
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.references import borrows

if TYPE_CHECKING:
    from PIL.Image import Image


class GeocrAccessor:
    """Cloud removal on a Dataset or DataArray with a CRS. `import geocr` registers it as `.geocr`.

    Sentinel-2 is a DataArray of `(band, y, x)` or `(time, band, y, x)`, or a Dataset with a variable for each band over `(y, x)` or
    `(time, y, x)`; `t`, `lat`, `latitude`, `lon` and `longitude` are understood. Bands are known by their names. Values are digital
    numbers or reflectance, as a file would hold them or as xarray decodes them. Arrays of Dask, and files opened without being read, stay
    lazy: methods return at once and everything happens when values are asked for. Arrays of NumPy are worked on at once.

    Args:
        obj: The object.
    """

    def __init__(self, obj: XarrayObject) -> None:
        self._obj = obj
        self.before: XarrayObject | None = None
        """The cloudy scene that a result was made of; None for objects derived from a result."""

    @speaks_python
    def cloud_mask(
        self,
        method: MaskInput = "auto",
        *,
        nodata: float | None = None,
        threads: int | None = None,
        config: PredictConfig | None = None,
        **settings: Any,  # noqa: ANN401 - fields of PredictConfig, checked there
    ) -> xr.DataArray:
        """Where clouds and their shadows are.

        Args:
            method: As `cloud_mask` of `PredictConfig`: `auto`, the name of a detector, or a mask of your own as a path or a DataArray.
            nodata: What stands for nothing, where the array does not say.
            threads: Cores to use; all when None.
            config: Settings; the defaults when None.
            settings: Fields of `PredictConfig`, before those of `config`: `scl=ds["SCL"]`, `mask_buffer_m=0`.

        Returns:
            `(y, x)` or `(time, y, x)` bool: True is cloud or shadow on an observed pixel.

        Raises:
            GeocrError: A leaf for each thing that can be wrong; on lazy arrays partly when the mask is computed.
        """
        stack, shares = self._masks(method, nodata, threads, config, settings)
        masks = da.stack([mask for mask, _ in shares])
        attrs = {"long_name": "cloud or cloud shadow", "flag_values": [0, 1], "flag_meanings": "clear cloud_or_shadow"}
        return _asked(stack.plane(masks, "cloud_mask", attrs), stack)

    @speaks_python
    def cloud_fraction(
        self,
        method: MaskInput = "auto",
        *,
        nodata: float | None = None,
        threads: int | None = None,
        config: PredictConfig | None = None,
        **settings: Any,  # noqa: ANN401 - fields of PredictConfig, checked there
    ) -> xr.DataArray:
        """Which part of the observed pixels is under cloud or shadow.

        Arguments and errors are those of `cloud_mask`.

        Returns:
            float64, 0 to 1: a scalar, or one number a date along `time`. 0 where nothing was observed.
        """
        stack, shares = self._masks(method, nodata, threads, config, settings)
        values, time = da.stack([share for _, share in shares]), stack.layout.time
        attrs = {"long_name": "share of observed pixels under cloud or cloud shadow", "units": "1"}
        if time is None:
            return _asked(xr.DataArray(values[0], name="cloud_fraction", attrs=attrs), stack)
        coords = {key: value for key, value in stack.source.coords.items() if set(value.dims) == {time}}
        return _asked(xr.DataArray(values, dims=[time], coords=coords, name="cloud_fraction", attrs=attrs), stack)

    @speaks_python
    def remove_clouds(
        self,
        s1: SarInput = None,
        checkpoint: str | Path | None = None,
        *,
        other_dates: bool = False,
        reconstructor: Reconstructor | None = None,
        nodata: float | None = None,
        threads: int | None = None,
        config: PredictConfig | None = None,
        **settings: Any,  # noqa: ANN401 - fields of PredictConfig, checked there
    ) -> XarrayObject:
        """Replace what clouds hide. The values are those that `predict_scene` writes for the same pixels, to the bit.

        Args:
            s1: Sentinel-1: a DataArray (VV, VH) or a Dataset with these variables on any grid that overlaps, or a path. Of several
                dates, each scene takes the nearest in time. None goes on without.
            checkpoint: A trained model; None fits on the scene itself.
            other_dates: Fill each date of a series from clear observations of the others first, nearest in time first, and what they do not
                show by the method; `max_days` (30 unless set) and `method="temporal"` decide as in `predict_scene`.
            reconstructor: Your own method instead.
            nodata: What stands for nothing in Sentinel-2, where the array does not say.
            threads: Cores to use; all when None.
            config: Settings; the defaults when None.
            settings: Fields of `PredictConfig`, before those of `config`: `uncertainty=True`, `cloud_mask=mask`, `seed=1`.

        Returns:
            An object like the given one, with `provenance` beside it (`std` with `uncertainty`, and `source_days` where other dates are used):
            coordinates of a DataArray, variables of a Dataset.

        Raises:
            GeocrError: A leaf for each thing that can be wrong; on lazy arrays partly when the result is computed.
        """
        stack, wishes = self._prepared(nodata, threads, config, {**settings, "checkpoint": _path(checkpoint)}, reconstructor)
        with_days = other_dates and borrows(wishes.config.model_copy(update={"references": ("other dates",)}))
        results = [
            lazy_result(run, count=len(stack.names), dtype=stack.storage.dtype, with_std=wishes.config.uncertainty, with_days=with_days)
            for run in runs_of(stack, s1, wishes, other_dates=other_dates)
        ]
        made = attach(stack, results, wishes.config)
        made = made if stack.is_lazy else made.compute()
        made.geocr.before = self._obj
        return made

    @speaks_python
    def plan(
        self,
        s1: SarInput = None,
        checkpoint: str | Path | None = None,
        *,
        other_dates: bool = False,
        reconstructor: Reconstructor | None = None,
        nodata: float | None = None,
        threads: int | None = None,
        config: PredictConfig | None = None,
        **settings: Any,  # noqa: ANN401 - fields of PredictConfig, checked there
    ) -> CubePlan:
        """What `remove_clouds` would do; reads each scene for its clouds and reconstructs nothing.

        Arguments and errors are those of `remove_clouds`.
        """
        stack, wishes = self._prepared(nodata, threads, config, {**settings, "checkpoint": _path(checkpoint)}, reconstructor)
        return CubePlan.of(runs_of(stack, s1, wishes, other_dates=other_dates), stack.dates)

    @property
    @speaks_python
    def provenance(self) -> xr.DataArray:
        """Where each pixel of a result comes from: `(y, x)` or `(time, y, x)` uint8, classes as in `clear_provenance.tif`.

        Raises:
            InputError: When the object is no result, or lost its provenance on the way.
        """
        return provenance_of(self._obj)

    @speaks_python
    def preview(self, before: XarrayObject | None = None) -> "Image":
        """Before, after and provenance side by side: a picture that notebooks show. Computes a lazy result.

        Args:
            before: The cloudy scene. A result knows its own; an object made of one (`.isel(...)`) does not, and is shown without when None.

        Raises:
            InputError: When the object is no result, or has several dates.
        """
        from geocr.accessor.preview import draw_preview  # noqa: PLC0415 - fonts and pictures are for those who look

        return draw_preview(self._obj, self.before if before is None else before)

    @speaks_python
    def to_cog(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a Cloud-Optimized GeoTIFF, a band of rows at a time; a result's provenance and standard deviation beside it.

        Files, names and formats are those of `predict_scene`, and appear whole or not at all.

        Args:
            path: Ends in `.tif`.
            overwrite: Replace existing files.

        Returns:
            The path.

        Raises:
            OutputExistsError: When a file exists and may not be overwritten.
            InputError: When the object has several dates, or its bands are no Sentinel-2 image.
            OutputWriteError: When the disk does not take it.
        """
        from geocr.accessor.export import write_cogs  # noqa: PLC0415 - what writing needs is for those who write

        return write_cogs(self._obj, Path(path), overwrite=overwrite)

    def _prepared(
        self,
        nodata: float | None,
        threads: int | None,
        config: PredictConfig | None,
        settings: Mapping[str, Any],
        reconstructor: Reconstructor | None = None,
    ) -> tuple[ImageStack, Wishes]:
        wishes = Wishes.of(config, settings, threads=threads, reconstructor=reconstructor)
        stack = optical_stack(self._obj, bands=wishes.config.s2_bands, nodata=nodata)
        return stack, wishes.for_stack(stack)

    def _masks(
        self, method: MaskInput, nodata: float | None, threads: int | None, config: PredictConfig | None, settings: Mapping[str, Any]
    ) -> tuple[ImageStack, list[Any]]:
        given = {} if isinstance(method, str) and method == "auto" else {"cloud_mask": method}
        stack, wishes = self._prepared(nodata, threads, config, {**settings, **given})
        return stack, [lazy_mask(run) for run in runs_of(stack, None, wishes)]


def _asked(array: xr.DataArray, stack: ImageStack) -> xr.DataArray:
    """Lazy where the source is; computed where it is in memory."""
    return array if stack.is_lazy else array.compute()


def _path(path: str | Path | None) -> str | None:
    if path is not None and not isinstance(path, str | os.PathLike):
        raise InputError(
            f"the second argument, checkpoint, is the path of a trained model, got {type(path).__name__}; settings are keywords: "
            f"seed=1, or config=geocr.PredictConfig(seed=1)"
        )
    return None if path is None else str(path)
