"""A fitted scene as a reconstructor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from geocr.core.errors import ReconstructionError
from geocr.core.types import FloatArray, Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.scenefit.branch import Branch
from geocr.scenefit.coarse import CoarseScene
from geocr.scenefit.error import FitError
from geocr.scenefit.features import BLOCK_PX, HALO_PX, BlockFeatures, TileContext, block_features, build_context
from geocr.scenefit.scaling import Scaling
from geocr.scenefit.spread import Spread, pixel_traits
from geocr.scenefit.threads import one_core

SCENEFIT_TILE = TileSpec(size_px=384, overlap_px=0, halo_px=HALO_PX, align_px=BLOCK_PX)
"""Tiles of a scene fit. No overlap: a pixel comes out the same from every tile."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filler:
    """A branch with the standard deviation of its errors."""

    branch: Branch
    spread: Spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneFit:
    """Fills the cloudy pixels of the scene it was fitted on. Built by `fit_scene`.

    Picklable (some megabytes), safe to call from several threads. A pixel's value depends on the scene within `HALO_PX` of its
    64 x 64 block and on the fit, to the last bit not on the tile it is asked for in.
    """

    shape: tuple[int, int]
    """Rows and columns of the scene."""
    bands: int
    """Optical bands of the scene."""
    sar_bands: int
    """SAR bands of the scene."""
    scaling: Scaling
    """Units."""
    coarse: CoarseScene
    """The scene at low resolution."""
    full: Filler
    """For pixels that Sentinel-1 covers; in a scene without, for all."""
    blind: Filler | None
    """For pixels outside Sentinel-1; None in a scene without any."""
    error: FitError
    """What to expect."""
    seed: int
    """Of the fit."""
    tile: TileSpec = SCENEFIT_TILE
    """The windows it wants."""

    @property
    def has_std(self) -> bool:
        """True."""
        return True

    @property
    def halo_px(self) -> int:
        """Margin of a tile that is context only."""
        return self.tile.halo_px

    @property
    def alignment_px(self) -> int:
        """Tiles begin at multiples of this."""
        return self.tile.align_px

    def describe(self) -> dict[str, Any]:
        """JSON-able facts: name, seed, what was learnt from what, and the error to expect."""
        branch = self.full.branch
        return {
            "name": "scenefit",
            "seed": self.seed,
            "sar_bands": self.sar_bands,
            "components": int(self.scaling.to_components.shape[0]),
            "features": len(branch.shift),
            "shrinkage": branch.shrinkage,
            "share_of_regression": branch.shares[0],
            "share_of_networks": branch.shares[1],
            "error": self.error.describe(),
        }

    def __call__(self, tile: TileInput) -> Reconstruction:
        """Reconstruct the cloudy pixels of a tile.

        Args:
            tile: Its window begins at a multiple of `alignment_px`, and ends at one or with the scene.

        Returns:
            Mean and standard deviation, `(bands, h, w)` float32 reflectance, and where SAR was used, at every pixel of each block of
            64 x 64 that holds a cloudy pixel. Elsewhere, and in the outer `halo_px` (except at the scene's border): the observation and zero.

        Raises:
            ReconstructionError: When the tile is not aligned, or has other bands than the scene.
        """
        self._check(tile)
        mean = np.nan_to_num(tile.optical, nan=0.0)
        std = np.zeros_like(mean)
        sar_share = np.zeros((1, *tile.window.shape), np.float32)
        blocks = self._cloudy_blocks(tile)
        if blocks:
            context = build_context(tile, self.scaling.clear(tile), self.scaling, self.coarse)
            with one_core(), torch.inference_mode():
                for row, col in blocks:
                    self._fill_block(context, row, col, (mean, std, sar_share))
        return Reconstruction(mean=mean, std=std, sar_share=sar_share)

    def _check(self, tile: TileInput) -> None:
        window = tile.window
        ends = (window.row_stop, window.col_stop)
        aligned = all(stop % self.alignment_px == 0 or stop == size for stop, size in zip(ends, self.shape, strict=True))
        if window.row % self.alignment_px or window.col % self.alignment_px or not aligned:
            raise ReconstructionError(
                f"tiles of a scene fit must begin and end at multiples of {self.alignment_px} pixels, or with the scene of shape {self.shape}; "
                f"got rows {window.row} to {window.row_stop}, columns {window.col} to {window.col_stop}; use its `tile` specification"
            )
        if (tile.optical.shape[0], tile.sar.shape[0]) != (self.bands, self.sar_bands):
            raise ReconstructionError(
                f"a scene fit fills the scene it was fitted on: expected {self.bands} optical and {self.sar_bands} SAR bands, "
                f"got {tile.optical.shape[0]} and {tile.sar.shape[0]}; fit that scene"
            )

    def _cloudy_blocks(self, tile: TileInput) -> list[tuple[int, int]]:
        """First pixels, in the tile, of blocks with a pixel to fill that the tile's halo does not cover."""
        window = tile.window
        top = self.halo_px if window.row else 0
        left = self.halo_px if window.col else 0
        bottom = window.height - (self.halo_px if window.row_stop < self.shape[0] else 0)
        right = window.width - (self.halo_px if window.col_stop < self.shape[1] else 0)
        needed = tile.cloud_mask & tile.valid
        return [
            (row, col)
            for row in range(top, bottom, BLOCK_PX)
            for col in range(left, right, BLOCK_PX)
            if needed[row : row + BLOCK_PX, col : col + BLOCK_PX].any()
        ]

    def _fill_block(self, context: TileContext, row: int, col: int, layers: tuple[FloatArray, FloatArray, FloatArray]) -> None:
        mean, std, sar_share = layers
        features = block_features(context, row, col)
        filled, sure = self._predict(self.full, features)
        if self.blind is not None and not features.has_sar.all():
            blind_filled, blind_sure = self._predict(self.blind, features)
            filled = np.where(features.has_sar, filled, blind_filled)
            sure = np.where(features.has_sar, sure, blind_sure)
        live = list(self.scaling.live)
        height, width = min(BLOCK_PX, mean.shape[1] - row), min(BLOCK_PX, mean.shape[2] - col)
        inside = np.s_[:, :height, :width]
        mean[live, row : row + height, col : col + width] = filled.reshape(-1, BLOCK_PX, BLOCK_PX)[inside]
        std[live, row : row + height, col : col + width] = sure.reshape(-1, BLOCK_PX, BLOCK_PX)[inside]
        if self.blind is not None:  # else the one branch there is knows no SAR
            sar_share[:, row : row + height, col : col + width] = features.has_sar.reshape(-1, BLOCK_PX, BLOCK_PX)[inside]

    def _predict(self, filler: Filler, features: BlockFeatures) -> tuple[FloatArray, FloatArray]:
        correction = filler.branch(features.values)
        scaling = self.scaling
        mean = torch.addmm(torch.from_numpy(scaling.optical_mean)[:, None], torch.from_numpy(scaling.to_reflectance), features.nearest)
        mean = mean + correction
        traits = pixel_traits(features.values, correction, mean, len(features.nearest))
        return mean.numpy(), filler.spread(features.gap, traits).numpy()
