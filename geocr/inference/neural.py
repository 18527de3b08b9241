"""A trained network as a reconstructor: fed by band name as its fit to the scene says, answered in reflectance."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from torch import Tensor

from geocr.checkpoint import Checkpoint, CheckpointHeader
from geocr.core.errors import InputError, ReconstructionError
from geocr.core.types import DatedTile, FloatArray, Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.fit import Fit, day_of, fit_model
from geocr.inference.model_cache import ModelKey, own_stream, placed_model, remember
from geocr.inference.timeline import has_pixels, in_order_of_time, stacked
from geocr.inference.tuning import DEFAULT_TUNING, Precision, Tuning
from geocr.io.scene import Scene
from geocr.models.receptive import whole_tile_warning
from geocr.radiometry.normalize import Normalizer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeuralReconstructor:
    """Fills tiles with a checkpointed network. Built by `from_checkpoint`.

    Holds no weights: it pickles as a path, a hash and settings, and each process loads the model once. Safe
    to call from several threads.
    """

    path: str
    """The checkpoint, readable under this path by every process."""
    key: ModelKey
    """Its hash, and how the weights are placed."""
    header: CheckpointHeader
    """What it says about itself."""
    bands: tuple[str, ...]
    """The scene's Sentinel-2 bands, in the order of its tiles."""
    sar_bands: tuple[str, ...]
    """The scene's polarisations, in the order of its tiles."""
    tile: TileSpec
    """The windows it wants."""
    normalizer: Normalizer
    """Units of the scene to those of the network and back: the model's own, or adapted to the scene as the user allows."""
    b10: float | None = None
    """Reflectance that stands in for B10 in a scene without it; None where nothing does."""
    adapted: tuple[tuple[str, Any], ...] = ()
    """What was adapted to the scene, for tags."""
    tuning: Tuning = DEFAULT_TUNING
    """How it is run; decided once per run."""
    day: float | None = None
    """The scene's day since `DATE_EPOCH`, for a model that reads it."""
    notes: tuple[str, ...] = ()
    """What the user should know about this model on this scene, a sentence each."""

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        scene: Scene,
        *,
        device: str = "cpu",
        tuning: Tuning = DEFAULT_TUNING,
        tile_px: int | None = None,
        overlap_px: int | None = None,
        halo_px: int | None = None,
        fit: Fit | None = None,
    ) -> Self:
        """Put a loaded checkpoint to work on a scene.

        Args:
            checkpoint: The model; it is copied.
            scene: What it is to fill.
            device: `cpu`, `cuda` or `cuda:N`.
            tuning: How it is run. bf16 is faster on many machines and rounds the correction to 8 bits.
            tile_px: Side of a tile; None takes the model's recommendation, as for the next two.
            overlap_px: Blending between tiles.
            halo_px: Margin computed and thrown away.
            fit: What holding the scene against the model gave; None holds it, and lets nothing pass that does not fit.

        Raises:
            CheckpointError: When the model does not fit the scene.
            InputError: When a setting is not allowed.
        """
        spec = checkpoint.header.spec
        fit = fit_model(spec, scene) if fit is None else fit
        notes = list(fit.notes)
        if tuning.precision not in get_args(Precision):
            raise InputError(f"precision must be one of {', '.join(get_args(Precision))}, got {tuning.precision!r}")
        key = _key(checkpoint.sha256, usable_device(device), tuning)
        tile = spec.tile_spec(size_px=tile_px, overlap_px=overlap_px, halo_px=halo_px)
        warning = whole_tile_warning(checkpoint.model)
        if warning is not None:
            notes.append(warning)
        elif tile.halo_px < spec.halo_px and 2 * tile.halo_px + tile.overlap_px < 2 * spec.halo_px:
            notes.append(
                f"This model sees {spec.receptive_radius_px} px far, and tiles share less than twice that: "
                f"seams are possible; a halo of {spec.halo_px} px makes them impossible."
            )
        remember(key, checkpoint)
        return cls(
            path=checkpoint.path,
            key=key,
            header=checkpoint.header,
            bands=scene.bands,
            sar_bands=scene.sar_bands,
            tile=tile,
            tuning=tuning,
            normalizer=fit.normalizer,
            b10=fit.b10,
            adapted=fit.facts,
            day=day_of(scene) if spec.needs_dates else None,
            notes=tuple(notes),
        )

    @property
    def has_std(self) -> bool:
        """Whether its reconstructions carry a standard deviation."""
        return self.header.spec.has_std

    def describe(self) -> dict[str, Any]:
        """JSON-able facts: name, weights and their hash, bands, placement, figures of the model's evaluation."""
        spec = self.header.spec
        return {
            "name": self.header.model,
            "checkpoint": Path(self.path).name,
            "sha256": self.key.sha256,
            "geocr_version": self.header.geocr_version,
            "licence": self.header.licence,
            "metrics": self.header.metrics,
            "optical_in": list(spec.optical_in),
            "optical_out": list(spec.optical_out),
            "sar_bands": list(spec.sar_bands),
            "level": spec.level,
            **dict(self.adapted),
            "device": self.key.device,
            **self.tuning.to_dict(),
        }

    def tuned(self, tuning: Tuning) -> Self:
        """The same model, run in another way."""
        return replace(self, key=_key(self.key.sha256, self.key.device, tuning), tuning=tuning)

    def __call__(self, tile: TileInput) -> Reconstruction:
        """Reconstruct every pixel of a tile of any size.

        Raises:
            ReconstructionError: When the tile has other bands than the scene this was built for.
            CheckpointError: When the checkpoint can no longer be loaded.
        """
        return self.at_once([tile])[0]

    def many(self, tiles: Sequence[TileInput]) -> list[Reconstruction]:
        """Reconstruct tiles together, those of one size in one forward pass; the answers come in their order.

        Raises:
            ReconstructionError: As a call does.
            CheckpointError: As a call does.
        """
        answers: dict[int, Reconstruction] = {}
        for shape in dict.fromkeys(tile.window.shape for tile in tiles):
            places = [i for i, tile in enumerate(tiles) if tile.window.shape == shape]
            answers.update(zip(places, self._within_memory([tiles[i] for i in places]), strict=True))
        return [answers[i] for i in range(len(tiles))]

    def _within_memory(self, tiles: Sequence[TileInput]) -> list[Reconstruction]:
        """A forward pass, halved as often as it does not fit into the GPU's memory."""
        try:
            return self.at_once(tiles)
        except torch.OutOfMemoryError:
            if len(tiles) == 1:
                raise
        half = len(tiles) // 2
        _LOG.warning("%d tiles together do not fit into GPU memory; going on with %d (--batch %d avoids this)", len(tiles), half, half)
        torch.cuda.empty_cache()
        return self._within_memory(tiles[:half]) + self._within_memory(tiles[half:])

    def at_once(self, tiles: Sequence[TileInput]) -> list[Reconstruction]:
        """One forward pass over tiles of one size.

        Raises:
            ReconstructionError: As a call does.
            CheckpointError: As a call does.
            torch.OutOfMemoryError: When they do not fit into a GPU's memory together.
        """
        for tile in tiles:
            if (tile.optical.shape[0], tile.sar.shape[0]) != (len(self.bands), len(self.sar_bands)):
                raise ReconstructionError(
                    f"Expected a tile with {len(self.bands)} optical and {len(self.sar_bands)} SAR bands, "
                    f"got {tile.optical.shape[0]} and {tile.sar.shape[0]}; build one reconstructor per scene"
                )
        spec = self.header.spec
        model = placed_model(self.key, self.path)
        count = len(tiles)
        if self.tuning.compiled:  # every new shape would be compiled anew
            tiles = [*tiles, *[tiles[-1]] * (self.tuning.batch - count)]
        series = [in_order_of_time(tile) for tile in tiles]
        sar = [
            stacked([self.normalizer.sar_to_network(_picked(date.sar, self.sar_bands, spec.sar_bands)) for date in dates])
            for dates in series
        ]
        cloudy = [stacked([self.normalizer.optical_to_network(self._seen(date.optical)) for date in dates]) for dates in series]
        with torch.inference_mode(), own_stream(self.key.device):
            mask = self._to_device([stacked([date.cloud_mask for date in dates]) for dates in series]) if spec.needs_mask else None
            days = None if self.day is None else self._days(series)
            real = None if len(series[0]) == 1 else torch.from_numpy(np.stack([has_pixels(dates) for dates in series])).to(self.key.device)
            out = model(self._to_device(sar), self._to_device(cloudy), mask, days, real)
            means = _to_numpy(out.mean)
            variances = None if out.variance is None else _to_numpy(out.variance)
        return [self._answer(tiles[i], means[i], None if variances is None else variances[i]) for i in range(count)]

    def _days(self, series: Sequence[Sequence[DatedTile]]) -> Tensor:
        """`(batch, dates)` days since `DATE_EPOCH`."""
        days = [[(self.day or 0.0) + date.days for date in dates] for dates in series]
        return torch.tensor(days, dtype=torch.float32, device=self.key.device)

    def _seen(self, optical: FloatArray) -> FloatArray:
        """The bands that the model reads, `(band, y, x)` reflectance."""
        if self.b10 is None:
            return _picked(optical, self.bands, self.header.spec.optical_in)
        valid = np.logical_or.reduce(np.isfinite(optical), axis=0)
        cirrus = np.where(valid, np.float32(self.b10), np.float32(np.nan))
        return _picked(np.concatenate([optical, cirrus[None]]), (*self.bands, "B10"), self.header.spec.optical_in)

    def _answer(self, tile: TileInput, mean: FloatArray, variance: FloatArray | None) -> Reconstruction:
        """The model's answer on the tile's bands, in its units; a band that the model does not give (and nobody writes) is the input's."""
        given = self.header.spec.optical_out
        lacks = any(band not in given for band in self.bands)

        def on_tile(layers: FloatArray, elsewhere: FloatArray) -> FloatArray:
            if not lacks:
                return _picked(layers, given, self.bands)
            out = elsewhere.copy()
            for place, band in enumerate(self.bands):
                if band in given:
                    out[place] = layers[given.index(band)]
            return out

        reflectance = self.normalizer.mean_to_reflectance(mean)
        std = None if variance is None else self.normalizer.std_to_reflectance(np.sqrt(variance))
        return Reconstruction(
            mean=on_tile(reflectance, tile.optical), std=None if std is None else on_tile(std, np.zeros_like(tile.optical))
        )

    def _to_device(self, arrays: Sequence[np.ndarray[Any, Any]]) -> Tensor:
        """Arrays of one shape, as `(batch, dates, ...)`. Through pinned memory to a GPU, so that the copy overlaps its work."""
        together = arrays[0][None] if len(arrays) == 1 and arrays[0].flags.writeable else np.stack(arrays)  # a copy only where it must be
        tensor = torch.from_numpy(together)
        if self.key.device.startswith("cuda"):
            return tensor.pin_memory().to(self.key.device, non_blocking=True)
        return tensor


def _key(sha256: str, device: str, tuning: Tuning) -> ModelKey:
    return ModelKey(sha256=sha256, device=device, precision=tuning.precision, channels_last=tuning.channels_last, compiled=tuning.compiled)


def _picked(layers: FloatArray, names: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """The wanted layers in that order; the very same array, not a copy, where it holds them so already."""
    if tuple(names) == tuple(wanted):
        return layers
    return layers[[names.index(band) for band in wanted]]


def _to_numpy(batch: Tensor) -> FloatArray:
    """`(B, C, H, W)` on any device to float32 in memory; waits for this thread's own GPU work only."""
    batch = batch.float()
    if batch.device.type != "cuda":
        return batch.numpy()
    held = torch.empty(batch.shape, dtype=batch.dtype, pin_memory=True)
    held.copy_(batch, non_blocking=True)
    torch.cuda.current_stream(batch.device).synchronize()
    return held.numpy()


def usable_device(device: str) -> str:
    """Torch's name of a device.

    Raises:
        InputError: When there is no such device.
    """
    try:
        kind = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"a device is cpu, cuda or cuda:N, got {device!r}") from error
    if kind.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} needs a CUDA GPU, and torch sees none; use --device cpu")
    return str(kind)
