"""Models over several dates: what they are given, in which order, and that a single date is as before."""

import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import rasterio

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.config import PredictConfig
from geocr.core.errors import BandError
from geocr.core.types import DatedTile, TileInput, Window
from geocr.grid.spec import TileSpec
from geocr.inference.inputs import SceneTiles
from geocr.inference.neural import NeuralReconstructor
from geocr.inference.own_method import OwnMethod
from geocr.inference.plan import plan_scene
from geocr.inference.prepare import prepare_scene
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.record import fingerprint_of
from geocr.inference.references import as_read_by, open_references
from geocr.inference.run import plan_run, predict_scene
from geocr.inference.timeline import has_pixels, in_order_of_time, stacked
from geocr.io.open import open_scene
from geocr.models.least_cloudy import LeastCloudy
from geocr.models.mosaic import Mosaic
from geocr.models.uncrtaints import UnCRtainTS
from geocr.models.unet_mono import MonoUNet
from tests.scenes import ArrayMask, write_raster
from tests.temporal.worlds import disc

SHAPE = (96, 128)
BANDS = ["B02", "B03", "B04"]
MASK = disc(SHAPE, 40, 60, 25)


def dated(days: int, value: float, cloudy: bool = False) -> DatedTile:
    shape = (4, 4)
    return DatedTile(
        days=days,
        optical=np.full((1, *shape), value, np.float32),
        sar=np.empty((0, *shape), np.float32),
        cloud_mask=np.full(shape, cloudy),
    )


def test_dates_come_in_the_order_of_time_the_scene_first_among_equals() -> None:
    tile = TileInput(
        window=Window(row=0, col=0, height=4, width=4),
        optical=np.full((1, 4, 4), 0.5, np.float32),
        sar=np.empty((0, 4, 4), np.float32),
        cloud_mask=np.zeros((4, 4), bool),
        valid=np.ones((4, 4), bool),
        others=(dated(0, 0.6), dated(-3, np.nan), dated(7, 0.8)),
    )
    dates = in_order_of_time(tile)
    assert [date.days for date in dates] == [-3, 0, 0, 7]
    assert dates[1].optical[0, 0, 0] == 0.5
    assert dates[0].cloud_mask.all()  # nothing was observed: nothing to look at
    np.testing.assert_array_equal(has_pixels(dates), [False, True, True, True])
    assert stacked([date.optical for date in dates]).shape == (4, 1, 4, 4)
    assert np.shares_memory(stacked([tile.optical]), tile.optical)


def place(folder: Path, *, sar: bool = False) -> tuple[str, str | None, list[str], PredictConfig]:
    """A scene of 0.3 whose cloud is 0.9, another date of 0.1 five days before, one of 0.2 two days after that is half nodata."""
    rng = np.random.default_rng(0)

    def written(day: str, value: float, where: Any = None) -> str:
        dn = (1e4 * (value + 0.01 * rng.random((3, *SHAPE)))).astype(np.uint16)
        if where is not None:
            dn[:, where] = 0
        return write_raster(folder / f"S2_{day}.tif", dn, nodata=0, descriptions=BANDS, scale=1e-4)

    half = np.zeros(SHAPE, bool)
    half[:, 64:] = True
    dn = np.where(MASK, 9000, (1e4 * (0.3 + 0.01 * rng.random((3, *SHAPE))))).astype(np.uint16)
    s2 = write_raster(folder / "S2_20240510.tif", dn, nodata=0, descriptions=BANDS, scale=1e-4)
    others = [written("20240505", 0.05), written("20240512", 0.07, half)]
    mask = write_raster(folder / "mask.tif", MASK[None].astype(np.uint8))
    s1 = None
    if sar:
        db = rng.normal(-12, 3, (2, *SHAPE)).astype(np.float32)
        s1 = write_raster(folder / "S1_20240510.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    return s2, s1, others, PredictConfig(cloud_mask=mask, mask_buffer_px=0, references=tuple(others))


def saved(folder: Path, kind: Any, name: str, **arguments: Any) -> str:
    arguments = {"optical_bands": BANDS, "level": "L2A", **arguments}
    path = folder / f"{name}.safetensors"
    save_checkpoint(path, kind(**arguments), name=name, kwargs=arguments)
    return str(path)


def scene_of(path: Any) -> Any:
    with rasterio.open(path) as file:
        return file.read() * 1e-4


def test_the_least_cloudy_date_is_taken(tmp_path: Path) -> None:
    s2, _, _, config = place(tmp_path)
    config = config.model_copy(update={"checkpoint": saved(tmp_path, LeastCloudy, "least_cloudy"), "tile_px": 128})
    result = predict_scene(None, s2, tmp_path / "out.tif", config=config)
    assert scene_of(result.scene)[:, MASK].mean() == pytest.approx(0.055, abs=0.001)  # of 5 May: the other lacks half of the tile
    assert result.source_days is None
    assert result.summary["pixels"]["reconstructed_without_sar"] == MASK.sum()
    assert [date["days"] for date in result.summary["dates"]] == [2, -5]


def test_the_mosaic_averages_what_is_clear_pixel_by_pixel(tmp_path: Path) -> None:
    s2, _, others, config = place(tmp_path)
    config = config.model_copy(update={"checkpoint": saved(tmp_path, Mosaic, "mosaic")})
    filled = scene_of(predict_scene(None, s2, tmp_path / "out.tif", config=config).scene)
    early, late = scene_of(others[0]), scene_of(others[1])
    both = MASK & (late[0] > 0)
    np.testing.assert_allclose(filled[:, both], (early + late)[:, both] / 2, atol=1e-4)
    only = MASK & (late[0] == 0)
    np.testing.assert_allclose(filled[:, only], early[:, only], atol=1e-4)


def test_uncrtaints_takes_dates_and_a_date_without_sentinel_1_takes_the_scenes(tmp_path: Path) -> None:
    small = {"multi_temporal": True, "encoder_widths": [8], "decoder_widths": [8], "heads": 4, "d_model": 16, "tile_px": 128}
    checkpoint = saved(tmp_path, UnCRtainTS, "uncrtaints", **small)
    s2, s1, others, config = place(tmp_path, sar=True)
    config = config.model_copy(update={"checkpoint": checkpoint})
    several = predict_scene(s1, s2, tmp_path / "several.tif", config=config)
    assert [note for note in several.summary["notes"] if "brings no Sentinel-1: it takes the scene's" in note]
    turned = config.model_copy(update={"references": tuple(reversed(others))})
    again = predict_scene(s1, s2, tmp_path / "again.tif", config=turned)
    assert Path(several.scene).read_bytes() == Path(again.scene).read_bytes()
    named = config.model_copy(update={"references": tuple(f"{other},{s1}" for other in others)})
    np.testing.assert_array_equal(scene_of(predict_scene(s1, s2, tmp_path / "named.tif", config=named).scene), scene_of(several.scene))
    one = predict_scene(s1, s2, tmp_path / "one.tif", config=config.model_copy(update={"references": None}))
    assert np.abs(scene_of(one.scene) - scene_of(several.scene))[:, MASK].max() > 1e-3  # the other dates have a say
    plans = [plan_run(s1, s2, config=each) for each in (config, config.model_copy(update={"references": None}))]
    assert plans[0]["memory_bytes"] > plans[1]["memory_bytes"]
    assert [plan["dates"] for plan in plans] == [2, 0]


def test_a_date_with_its_own_sentinel_1_is_seen_with_it(tmp_path: Path) -> None:
    s2, s1, others, config = place(tmp_path, sar=True)
    db = np.full((2, *SHAPE), -20, np.float32)
    own = write_raster(tmp_path / "S1_20240505.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    config = config.model_copy(update={"references": (f"{others[0]},{own}", others[1])})
    with rasterio.Env():
        scene = open_scene(s2, s1)
        dates, _ = open_references(config, scene)
        method = OwnMethod(reconstructor=cast("Reconstructor", None))
        read, notes = as_read_by(method, dates, scene)
        tile = SceneTiles(scene=scene, mask=ArrayMask(MASK), others=read).read(Window(row=0, col=0, height=40, width=50))
    assert [date.days for date in tile.others] == [2, -5]
    np.testing.assert_array_equal(tile.others[0].sar, tile.sar)
    np.testing.assert_allclose(tile.others[1].sar, -20, atol=1e-4)
    assert len(notes) == 1


def test_bands_of_dates_follow_those_that_the_method_reads(tmp_path: Path) -> None:
    s2, _, _, config = place(tmp_path)
    scene = open_scene(s2)
    dates, _ = open_references(config, scene)
    fewer = scene.only(("B04", "B02"))
    read, _ = as_read_by(OwnMethod(reconstructor=cast("Reconstructor", None)), dates, fewer)
    window = Window(row=0, col=0, height=20, width=20)
    np.testing.assert_array_equal(
        read[1].scene.read_dn(window), dates[1].scene.read_dn(window)[[BANDS.index(band) for band in fewer.bands]]
    )


def test_days_are_counted_from_that_of_the_scene(tmp_path: Path) -> None:
    small = {"encoder_widths": [8], "decoder_widths": [8], "heads": 4, "d_model": 16, "multi_temporal": True}
    s2, s1, _, _ = place(tmp_path, sar=True)
    checkpoint = load_checkpoint(saved(tmp_path, UnCRtainTS, "uncrtaints", **small))
    scene = open_scene(s2, s1)
    net = NeuralReconstructor.from_checkpoint(checkpoint, scene, device="cpu")
    days = net._days([[dated(-3, 0.1), dated(0, 0.1), dated(7, 0.1)]])
    since = (date(2024, 5, 10) - date(2014, 4, 3)).days
    assert days.tolist() == [[since - 3, since, since + 7]]


def test_a_date_that_does_not_reach_a_window_is_as_none_there(tmp_path: Path) -> None:
    s2, _, others, config = place(tmp_path)
    nowhere = write_raster(tmp_path / "S2_20240511.tif", np.zeros((3, *SHAPE), np.uint16), nodata=0, descriptions=BANDS, scale=1e-4)
    small = {"encoder_widths": [8], "decoder_widths": [8], "heads": 4, "d_model": 16, "multi_temporal": True, "sar_bands": []}
    config = config.model_copy(update={"checkpoint": saved(tmp_path, UnCRtainTS, "uncrtaints", **small)})
    made = [
        scene_of(predict_scene(None, s2, tmp_path / f"{len(named)}.tif", config=config.model_copy(update={"references": named})).scene)
        for named in ((others[0],), (others[0], nowhere))
    ]
    np.testing.assert_allclose(made[1], made[0], atol=2e-4)


def test_the_sentinel_1_of_a_date_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    s2, s1, others, config = place(tmp_path, sar=True)
    small = {"multi_temporal": True, "encoder_widths": [8], "decoder_widths": [8], "heads": 4, "d_model": 16}
    own = str(shutil.copy(str(s1), tmp_path / "S1_20240505.tif"))
    update = {"checkpoint": saved(tmp_path, UnCRtainTS, "uncrtaints", **small), "references": (f"{others[0]},{own}",)}
    prints = []
    for stamp in (1, 2):
        os.utime(own, (stamp, stamp))
        with rasterio.Env():
            prints.append(fingerprint_of(prepare_scene(s2, s1, config.model_copy(update=update), threads=1)))
    assert prints[0] != prints[1]


def test_every_date_counts_in_the_memory_of_the_plan(tmp_path: Path) -> None:
    s2, _, _, config = place(tmp_path)
    scene = open_scene(s2)
    dates, _ = open_references(config, scene)
    tiles = SceneTiles(scene=scene, mask=ArrayMask(MASK), others=dates)
    plans = [
        plan_scene(
            replace(tiles, others=dates[:count]), TileSpec(size_px=64, overlap_px=0, halo_px=0), mode="full", with_std=False, threads=3
        )
        for count in range(3)
    ]
    first, second = np.diff([plan.memory_bytes for plan in plans])
    assert first == second >= 3 * 64 * 64 * 4 * 3  # threads, pixels, float32, bands


def test_a_model_of_one_date_leaves_references_alone(tmp_path: Path) -> None:
    s2, s1, _, config = place(tmp_path, sar=True)
    checkpoint = saved(tmp_path, MonoUNet, "unet", encoder_widths=[8, 8], decoder_widths=[8, 8])
    plan = plan_run(s1, s2, config=config.model_copy(update={"checkpoint": checkpoint}))
    assert any("reads one date: the 2 reference(s) are not used" in note for note in plan["notes"])
    assert plan["dates"] == 0


def test_other_polarisations_are_refused(tmp_path: Path) -> None:
    small = {"multi_temporal": True, "encoder_widths": [8], "decoder_widths": [8], "heads": 4, "d_model": 16}
    s2, s1, others, config = place(tmp_path, sar=True)
    db = np.full((1, *SHAPE), -12, np.float32)
    vv = write_raster(tmp_path / "S1_20240505.tif", db, nodata=np.nan, descriptions=("VV",))
    config = config.model_copy(
        update={"checkpoint": saved(tmp_path, UnCRtainTS, "uncrtaints", **small), "references": (f"{others[0]},{vv}",)}
    )
    with pytest.raises(BandError, match=r"must have the scene's polarisations, VV, VH; that of S2_20240505\.tif has VV"):
        plan_run(s1, s2, config=config)
