"""A trained network as a reconstructor: refused where it does not fit, fed by band name, answered in reflectance."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from torch import Tensor

from geocr.checkpoint import Checkpoint, CheckpointHeader
from geocr.core.bands import L2A_BANDS, is_l1c
from geocr.core.errors import CheckpointError, InputError, ReconstructionError
from geocr.core.types import FloatArray, Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.acquired import acquisition_date
from geocr.inference.model_cache import ModelKey, own_stream, placed_model, remember
from geocr.inference.tuning import DEFAULT_TUNING, Precision, Tuning
from geocr.io.scene import Scene
from geocr.models.receptive import whole_tile_warning
from geocr.models.spec import DATE_EPOCH, ModelSpec

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

        Raises:
            CheckpointError: When the model does not fit the scene.
            InputError: When a setting is not allowed.
        """
        spec = checkpoint.header.spec
        notes = list(require_fit(spec, scene))
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
            day=_day_of(scene) if spec.needs_dates else None,
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
        sar = [spec.normalizer.sar_to_network(_picked(tile.sar, self.sar_bands, spec.sar_bands)) for tile in tiles]
        cloudy = [spec.normalizer.optical_to_network(_picked(tile.optical, self.bands, spec.optical_in)) for tile in tiles]
        with torch.inference_mode(), own_stream(self.key.device):
            mask = self._to_device([tile.cloud_mask for tile in tiles]) if spec.needs_mask else None
            dates = None if self.day is None else torch.full((len(tiles), 1), self.day, device=self.key.device)
            out = model(self._to_device(sar), self._to_device(cloudy), mask, dates)
            means = _to_numpy(out.mean)
            variances = None if out.variance is None else _to_numpy(out.variance)
        return [
            Reconstruction(
                mean=spec.normalizer.mean_to_reflectance(_picked(means[i], spec.optical_out, self.bands)),
                std=None
                if variances is None
                else spec.normalizer.std_to_reflectance(np.sqrt(_picked(variances[i], spec.optical_out, self.bands))),
            )
            for i in range(count)
        ]

    def _to_device(self, arrays: Sequence[np.ndarray[Any, Any]]) -> Tensor:
        """Arrays of one shape, as `(batch, 1, ...)`: one date each. Through pinned memory to a GPU, so that the copy overlaps its work."""
        together = arrays[0][None] if len(arrays) == 1 and arrays[0].flags.writeable else np.stack(arrays)  # a copy only where it must be
        tensor = torch.from_numpy(together[:, None])
        if self.key.device.startswith("cuda"):
            return tensor.pin_memory().to(self.key.device, non_blocking=True)
        return tensor


def _key(sha256: str, device: str, tuning: Tuning) -> ModelKey:
    return ModelKey(sha256=sha256, device=device, precision=tuning.precision, channels_last=tuning.channels_last, compiled=tuning.compiled)


def require_fit(spec: ModelSpec, scene: Scene) -> tuple[str, ...]:
    """Refuse a scene that a model was not trained for.

    Args:
        spec: The model's contract.
        scene: The scene to fill.

    Returns:
        Notes for the user on what could not be told or goes unused, a sentence each.

    Raises:
        CheckpointError: Listing everything that does not fit, and what would.
    """
    misfits = [*_optical_misfits(spec, scene), *_sar_misfits(spec, scene), *_date_misfits(spec, scene)]
    if misfits:
        needs = ", and ".join(_needs(spec))
        raise CheckpointError(f"a checkpoint must fit its scene; this one needs {needs}; {'; '.join(misfits)}")
    notes = []
    if len(_possible_levels(scene.bands)) > 1:
        notes.append(
            f"The scene's bands do not tell its level; the model was trained on {spec.level}, so the scene is taken as {spec.level}."
        )
    if scene.sar_bands and not spec.sar_bands:
        notes.append("The model uses no Sentinel-1: the scene's is not read by it.")
    return tuple(notes)


def _needs(spec: ModelSpec) -> list[str]:
    optical = [f"Sentinel-2 {spec.level} with {', '.join(spec.optical_in)}"] if spec.optical_in else []
    sar = [f"Sentinel-1 with {', '.join(spec.sar_bands)} in {_UNIT_WORDS[spec.sar_units]}"] if spec.sar_bands else []
    return [*optical, *sar]


_UNIT_WORDS = {"db": "dB", "display": "display values"}


def _optical_misfits(spec: ModelSpec, scene: Scene) -> list[str]:
    found = []
    if spec.optical_units == "display":
        found.append("it was trained on 8-bit pictures, and a scene is in reflectance: give a checkpoint trained on reflectance")
    if spec.level not in _possible_levels(scene.bands):
        (level,) = _possible_levels(scene.bands)
        found.append(f"the scene is {level} by its bands: give the {spec.level} product of that date, or a checkpoint trained on {level}")
    absent = [band for band in spec.optical_in if band not in scene.bands]
    if absent:
        found.append(
            f"the scene lacks {', '.join(absent)} (it has {', '.join(scene.bands)}): give a file with them, or a checkpoint for these bands"
        )
    unfilled = [band for band in scene.bands if band not in spec.optical_out]
    if unfilled:
        found.append(
            f"the model predicts {', '.join(spec.optical_out)}, and the scene's {', '.join(unfilled)} would stay cloudy: "
            f"give a file without them, or a checkpoint that predicts them"
        )
    return found


def _sar_misfits(spec: ModelSpec, scene: Scene) -> list[str]:
    if not spec.sar_bands:
        return []
    if scene.sar is None:
        return ["the scene has no Sentinel-1: give one, or a checkpoint trained without"]
    found = []
    absent = [band for band in spec.sar_bands if band not in scene.sar_bands]
    if absent:
        found.append(f"its Sentinel-1 lacks {', '.join(absent)} (it has {', '.join(scene.sar_bands)}): give a dual-polarisation product")
    units = "display" if scene.sar.units == "display" else "db"
    if units != spec.sar_units:
        found.append(
            f"its Sentinel-1 is in {_UNIT_WORDS[units]}: give one in {_UNIT_WORDS[spec.sar_units]}, or a checkpoint for {_UNIT_WORDS[units]}"
        )
    return found


def _date_misfits(spec: ModelSpec, scene: Scene) -> list[str]:
    if not spec.needs_dates or _day_of(scene) is not None:
        return []
    return ["it reads the day of the scene, which neither tags nor file name tell: name the file with it, as S2_20240510.tif"]


def _day_of(scene: Scene) -> float | None:
    """Days from `DATE_EPOCH` to the scene's, if its file tells."""
    day = acquisition_date(scene)
    return None if day is None else float((day - DATE_EPOCH).days)


def _possible_levels(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Levels that a scene of these bands may have: cirrus is only in L1C, all others without it only in L2A."""
    if is_l1c(bands):
        return ("L1C",)
    return ("L2A",) if set(bands) == set(L2A_BANDS) else ("L1C", "L2A")


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
