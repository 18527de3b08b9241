"""Other dates as a reconstructor: what a nearby date saw where the scene has cloud, and for the rest another reconstructor."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from geocr.core.types import FloatArray, Reconstruction, TileInput, Window
from geocr.grid.spec import TileSpec
from geocr.scenefit import SCENEFIT_TILE
from geocr.temporal.border import REACH_PX, border_correction
from geocr.temporal.match import DateMatch
from geocr.temporal.source import clear_pixels

_LIMIT_STDS = np.float32(3)
"""Differences at a border of more than so many standard deviations of the match are change or missed cloud, and count as this much."""


class Rest(Protocol):
    """What fills the pixels that no date shows: a scene fit."""

    def describe(self) -> dict[str, Any]:
        """JSON-able facts about it."""
        ...

    def __call__(self, tile: TileInput) -> Reconstruction:
        """Reconstruct the cloudy pixels of a tile."""
        ...


def fill_tile(dates: int) -> TileSpec:
    """The windows that filling from so many dates wants: a scene fit's, with a margin for one border correction after the other."""
    margin = _margin_px(dates)
    return replace(SCENEFIT_TILE, size_px=SCENEFIT_TILE.size_px + 2 * margin, halo_px=SCENEFIT_TILE.halo_px + margin)


def _margin_px(dates: int) -> int:
    align = SCENEFIT_TILE.align_px
    return -(-dates * REACH_PX // align) * align


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DateFill:
    """Fills clouds with other dates, nearest in time first, then with the rest's answer.

    What is borrowed is matched by its date's `DateMatch` and bent at its border to the clear pixels of the scene and to what was
    borrowed before. The rest then takes it for clear pixels of the scene, so its own answer continues it. Picklable, safe to call from
    several threads; a pixel does not depend on the tile it is asked for in.
    """

    shape: tuple[int, int]
    """Rows and columns of the scene."""
    matches: tuple[DateMatch | None, ...]
    """A date each, in the order of the tiles' others: nearest first; None is not used."""
    rest: Rest | None
    """For pixels that no date shows; None when there is none."""
    name: str = "temporal"
    has_std: bool = True

    @property
    def tile(self) -> TileSpec:
        """The windows it wants."""
        return fill_tile(len(self.matches))

    def describe(self) -> dict[str, Any]:
        """JSON-able facts: the dates, how they were matched, and what fills the rest."""
        rest = None if self.rest is None else self.rest.describe()
        return {
            "name": self.name,
            "dates": [{"used": False} if match is None else match.describe() for match in self.matches],
            "rest": rest,
            "error": None if rest is None else rest.get("error"),
        }

    def __call__(self, tile: TileInput) -> Reconstruction:
        """Reconstruct the cloudy pixels of a tile.

        Returns:
            Mean and standard deviation, `(bands, h, w)` float32 reflectance, at every cloudy pixel outside the halo; the share of SAR;
            and days of the source where a date showed the ground, NaN elsewhere.
        """
        optical, std, days = self._borrow(tile)
        borrowed = np.isfinite(days)
        inner = self._inner(tile.window)
        rows, cols = inner.slices_in(tile.window)
        rest = TileInput(
            window=inner,
            optical=np.ascontiguousarray(optical[:, rows, cols]),
            sar=np.ascontiguousarray(tile.sar[:, rows, cols]),
            cloud_mask=tile.cloud_mask[rows, cols] & ~borrowed[rows, cols],
            valid=tile.valid[rows, cols],
        )
        sar_share = np.zeros((1, *tile.window.shape), np.float32)
        mean = np.nan_to_num(optical, nan=0.0)
        if self.rest is None:  # a cloud may not pass for ground, should a date now show less than when it was matched
            mean[:, tile.cloud_mask & tile.valid & ~borrowed] = np.nan
        elif (rest.cloud_mask & rest.valid).any():
            answer = self.rest(rest)
            taken = rest.cloud_mask
            np.copyto(mean[:, rows, cols], answer.mean, where=taken)
            if answer.std is not None:
                np.copyto(std[:, rows, cols], answer.std, where=taken)
            if answer.sar_share is not None:
                np.copyto(sar_share[:, rows, cols], answer.sar_share, where=taken)
        return Reconstruction(mean=mean, std=std, sar_share=sar_share, source_days=days[None])

    def _borrow(self, tile: TileInput) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The tile's reflectance with what dates show in place of clouds, its standard deviation, and days of the source (NaN: none)."""
        optical = tile.optical.copy()
        std = np.zeros_like(optical)
        days = np.full(tile.window.shape, np.nan, np.float32)
        known = clear_pixels(tile)
        left = tile.cloud_mask & tile.valid
        for match, other in zip(self.matches, tile.others, strict=True):
            if match is None or not left.any():
                continue
            clear = other.clear
            taken = left & clear
            if not taken.any():
                continue
            matched = match(other.optical, tile.window)
            matched += border_correction(optical, known, matched, clear, _LIMIT_STDS * match.std)
            np.copyto(optical, matched, where=taken)
            np.copyto(std, match.spread(tile.window), where=taken)
            days[taken] = match.days
            known = known | taken
            left &= ~taken
        return optical, std, days

    def _inner(self, window: Window) -> Window:
        """The part of a window that the rest is asked for: without the margin, except at the scene's border."""
        margin = _margin_px(len(self.matches))
        row = window.row + margin if window.row else 0
        col = window.col + margin if window.col else 0
        row_stop = window.row_stop - margin if window.row_stop < self.shape[0] else window.row_stop
        col_stop = window.col_stop - margin if window.col_stop < self.shape[1] else window.col_stop
        return Window(row=row, col=col, height=row_stop - row, width=col_stop - col)
