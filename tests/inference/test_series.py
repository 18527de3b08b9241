"""A series filled date by date."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from geocr.core.errors import InputError
from geocr.inference.engine import stream_rows
from geocr.inference.plan import plan_scene
from geocr.inference.products import Provenance
from geocr.inference.series import DatedScene, fill_series
from geocr.io.open import open_scene
from tests.scenes import ArrayMask, write_raster
from tests.temporal.worlds import BANDS, Date, counts, disc, make_ground, seen

SHAPE = (200, 180)
GROUND = make_ground(SHAPE)
CLOUDS = {1: disc(SHAPE, 60, 60, 35), 6: disc(SHAPE, 140, 120, 30), 20: disc(SHAPE, 60, 120, 30)}


def series(folder: Path) -> list[DatedScene]:
    dates = []
    for number, (day, clouds) in enumerate(CLOUDS.items()):
        pixels = seen(GROUND, Date(days=0, gain=1 + 0.1 * number, clouds=clouds), number)
        path = write_raster(folder / f"{day}.tif", pixels, nodata=0, descriptions=BANDS, scale=1e-4)
        dates.append(DatedScene(scene=open_scene(path), mask=ArrayMask(clouds), day=date(2024, 5, day), name=str(day)))
    return dates


def test_each_date_is_filled_from_the_others_nearest_first(tmp_path: Path) -> None:
    for (tiles, method), (day, clouds), gain in zip(fill_series(series(tmp_path)), CLOUDS.items(), (1.0, 1.1, 1.2), strict=True):
        fill = method.prepare(tiles)
        plan = plan_scene(tiles, method.tile, mode="replace-clouds", with_std=True, with_days=method.dates == "borrowed", threads=1)
        (rows,) = stream_rows(tiles, plan, fill, row_start=0, row_stop=SHAPE[0])
        assert rows.source_days is not None
        nearest = min((other for other in CLOUDS if other != day), key=lambda other: abs(other - day))
        assert set(np.unique(rows.source_days[0][clouds])) == {nearest - day}
        assert (rows.provenance[0][clouds] == Provenance.OBSERVED_ON_ANOTHER_DATE).all()
        assert np.abs(rows.scene.astype(int) - counts(np.float32(gain) * GROUND))[:, clouds].max() <= 6


def test_dates_too_far_away_are_left_out(tmp_path: Path) -> None:
    found = [([other.days for other in tiles.others], method.name) for tiles, method in fill_series(series(tmp_path), max_days=5)]
    assert found == [([5], "temporal"), ([-5], "temporal"), ([], "scenefit")]
    every = [[other.days for other in tiles.others] for tiles, _ in fill_series(series(tmp_path), max_days=None)]
    assert every == [[5, 19], [-5, 14], [-14, -19]]


def test_dates_on_other_grids_are_refused(tmp_path: Path) -> None:
    first, second, _ = series(tmp_path)
    other = replace(second, scene=replace(second.scene, bands=("B02", "B03", "B08")))
    with pytest.raises(InputError, match="the dates of a series must share grid and bands; 6 has"):
        next(fill_series([first, other]))
