"""`--check-shift`: is Sentinel-1 where Sentinel-2 is?"""

from collections.abc import Iterator

import numpy as np

from geocr.clouds.mask import CloudMask
from geocr.core.types import BoolArray, FloatArray, Window
from geocr.grid.shift import Shift, measure_shift
from geocr.io.scene import Scene

CHIP_PX = (256, 128, 64)
"""Sides of chips: the largest of which the scene holds one."""
CHIPS_A_SIDE = 6
"""Most places along each axis where a chip is looked at."""
MOST_CHIPS = 16
"""Chips that are enough; the clearest are taken."""
USABLE_SHARE = 0.6
"""Share of a chip that must be clear and measured by both."""
WARN_PX = 1.0
"""Shift above which a warning is due."""
_BANDS = ("B03", "B04", "B08")
"""Bands in which land shows most borders at 10 m; all of the scene's where it has none of these."""


def scene_shift(scene: Scene, mask: CloudMask) -> Shift | None:
    """Shift of Sentinel-1 against Sentinel-2 on clear pixels of chips spread over the scene, in scene pixels.

    Memory is that of a few chips. None where there is no Sentinel-1, or too little that is clear.
    """
    if scene.sar is None:
        return None
    size = next((size for size in CHIP_PX if size <= min(scene.grid.shape)), None)
    return None if size is None else measure_shift(_chips(scene, mask, size))


def shift_note(scene: Scene, shift: Shift | None) -> str:
    """What is to be said of a measured shift."""
    if shift is None:
        return "The shift between Sentinel-1 and Sentinel-2 could not be measured: too little of the scene is clear and measured by both."
    if not shift.is_clear:
        return (
            f"The shift between Sentinel-1 and Sentinel-2 could not be measured: their edges do not agree on {shift.chips} chip(s) "
            f"(peak {shift.peak:.1f}, spread {shift.spread_px:.1f} px)."
        )
    metres = shift.length_px * scene.grid.pixel_size_m
    where = f"{abs(shift.rows):.1f} px {'down' if shift.rows > 0 else 'up'} and {abs(shift.cols):.1f} px {'right' if shift.cols > 0 else 'left'}"
    measured = f"Sentinel-1 lies {where} of Sentinel-2 ({metres:.0f} m; {shift.chips} chips, spread {shift.spread_px:.1f} px)"
    if shift.length_px <= WARN_PX:
        return f"{measured}: within a pixel."
    return (
        f"Warning: {measured}. geocr does not co-register: take another Sentinel-1 product or correct its georeference, "
        f"else what is reconstructed is blurred or shifted by as much."
    )


def shift_account(shift: Shift | None) -> dict[str, float | int | bool] | None:
    """A measured shift, JSON-able; None where there is none."""
    if shift is None:
        return None
    return {
        "rows_px": round(shift.rows, 2),
        "cols_px": round(shift.cols, 2),
        "clear": shift.is_clear,
        "peak": round(shift.peak, 1),
        "spread_px": round(shift.spread_px, 2),
        "chips": shift.chips,
    }


def _chips(scene: Scene, mask: CloudMask, size: int) -> Iterator[tuple[FloatArray, FloatArray, BoolArray]]:
    bands = tuple(band for band in _BANDS if band in scene.bands) or scene.bands
    ranked = sorted(_windows(scene.grid.shape, size), key=lambda window: -_clear_share(mask, window))
    taken = 0
    for window in ranked:
        if taken == MOST_CHIPS:
            return
        optical, sar = scene.read_reflectance(window, bands), scene.read_sar(window)
        seen: BoolArray = np.logical_and.reduce(np.isfinite(np.concatenate([optical, sar])), axis=0)
        usable = seen & ~mask.read(window)
        if usable.mean() >= USABLE_SHARE:
            taken += 1
            yield sar, optical, usable


def _windows(shape: tuple[int, int], size: int) -> list[Window]:
    rows, cols = (_starts(length, size) for length in shape)
    return [Window(row=row, col=col, height=size, width=size) for row in rows for col in cols]


def _starts(length: int, size: int) -> list[int]:
    """At most `CHIPS_A_SIDE` places, evenly spread, that overlap by a quarter at most."""
    count = min(CHIPS_A_SIDE, max(1, (4 * length - size) // (3 * size)))
    return [round((length - size) * (place + 0.5) / count) for place in range(count)]


def _clear_share(mask: CloudMask, window: Window) -> float:
    return 1 - float(mask.read(window).mean())
