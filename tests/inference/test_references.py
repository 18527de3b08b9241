"""Scenes filled from other dates, from files to products."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from geocr.checkpoint import save_checkpoint
from geocr.config import PredictConfig
from geocr.core.bands import L1C_BANDS
from geocr.core.errors import BandError, CheckpointError, GeoreferenceError, InputError, RasterNotFoundError, RasterReadError
from geocr.core.types import BoolArray
from geocr.inference import run
from geocr.inference.prepare import prepare_scene
from geocr.inference.products import DAYS_NODATA, Provenance
from geocr.inference.record import fingerprint_of
from geocr.inference.references import Reference, open_references
from geocr.inference.run import PredictResult, plan_run, predict_scene
from geocr.io.open import open_scene
from geocr.models.mosaic import Mosaic
from tests.data_makers.local_items import write_local_item
from tests.scenes import TRANSFORM, write_raster
from tests.temporal.worlds import BANDS, Date, counts, disc, make_ground, seen

SHAPE = (300, 280)
MASK = disc(SHAPE, 150, 140, 60)
GROUND = 0.25 * make_ground(SHAPE)
"""Dark, so that the rule-based mask of a reference finds no cloud that is none."""


def place(folder: Path, *dates: tuple[str, Date], sar: bool = False) -> tuple[str, list[str], PredictConfig]:
    """The cloudy scene of 10 May 2024, others by their days, and settings with its mask."""
    s2 = write_raster(folder / "S2_20240510.tif", seen(GROUND, Date(days=0, clouds=MASK), 0), nodata=0, descriptions=BANDS, scale=1e-4)
    mask = write_raster(folder / "mask.tif", MASK[None].astype(np.uint8))
    if sar:
        db = np.random.default_rng(0).normal(-12, 3, (2, *SHAPE)).astype(np.float32)
        write_raster(folder / "S1_20240510.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    others = [
        write_raster(folder / f"S2_{day}.tif", seen(GROUND, date, number), nodata=0, descriptions=BANDS, scale=1e-4)
        for number, (day, date) in enumerate(dates)
    ]
    return s2, others, PredictConfig(cloud_mask=mask, mask_buffer_px=0, references=tuple(others) or None, uncertainty=True)


def pixels_of(result: PredictResult) -> dict[str, NDArray[Any]]:
    names = ("scene", "provenance", "source_days", "std")
    return {name: rasterio.open(path).read() for name in names if (path := getattr(result, name)) is not None}


def test_clouds_are_filled_with_what_another_date_saw(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path, ("20240505", Date(days=-5, gain=0.9, offset=0.01)))
    result = predict_scene(None, s2, tmp_path / "out.tif", config=config, threads=2)
    out = pixels_of(result)
    np.testing.assert_array_equal(out["provenance"][0], np.where(MASK, Provenance.OBSERVED_ON_ANOTHER_DATE, Provenance.OBSERVED))
    np.testing.assert_array_equal(out["source_days"][0], np.where(MASK, -5, 0))
    error = (out["scene"].astype(float) - counts(GROUND)) * 1e-4
    assert np.sqrt((error[:, MASK] ** 2).mean()) < 0.0005
    assert (error[:, ~MASK] == 0).all()
    assert result.summary["pixels"]["observed_on_another_date"] == MASK.sum()
    assert result.summary["dates"][0]["days"] == -5
    assert result.summary["dates"][0]["gain"] == pytest.approx([1 / 0.9] * 3, abs=0.01)
    with rasterio.open(result.source_days) as file:
        assert (file.dtypes[0], file.nodata) == ("int16", DAYS_NODATA)
        assert json.loads(file.tags()["GEOCR_REFERENCES"])[0]["name"] == "S2_20240505.tif"
        assert str(tmp_path) not in json.dumps(file.tags())
    with rasterio.open(result.provenance) as file:
        assert file.tags()["PROVENANCE_4"] == "observed on another date"
        assert 4 in file.colormap(1)


def test_without_references_nothing_is_new(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path)
    plan = plan_run(None, s2, config=config)
    assert (plan["method"]["name"], plan["references"]) == ("scenefit", [])


def test_order_threads_rows_and_a_cluster_change_no_byte(tmp_path: Path) -> None:
    clouds = disc(SHAPE, 140, 150, 40)
    s2, others, config = place(tmp_path, ("20240507", Date(days=-3, clouds=clouds)), ("20240516", Date(days=6, noise=0.003)))
    once = predict_scene(None, s2, tmp_path / "once.tif", config=config, threads=1)
    turned = config.model_copy(update={"references": tuple(reversed(others))})
    again = predict_scene(None, s2, tmp_path / "again.tif", config=turned, threads=3, workers=2)
    for name in ("scene", "provenance", "source_days", "std"):
        assert Path(getattr(once, name)).read_bytes() == Path(getattr(again, name)).read_bytes(), name


@pytest.mark.slow
def test_references_that_are_not_used_change_no_pixel(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path, ("20240507", Date(days=-3)))
    alone = pixels_of(predict_scene(None, s2, tmp_path / "alone.tif", config=config.model_copy(update={"references": None}), threads=1))
    for name, update in (("unread", {"method": "scenefit"}), ("far", {"max_days": 2})):
        found = pixels_of(predict_scene(None, s2, tmp_path / f"{name}.tif", config=config.model_copy(update=update), threads=2))
        for product in ("scene", "provenance", "std"):
            assert found[product].tobytes() == alone[product].tobytes(), (name, product)
        if name == "unread":
            assert "source_days" not in found


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path, ("20240507", Date(days=-3)))
    here = predict_scene(None, s2, tmp_path / "here.tif", config=config, threads=1)
    there = predict_scene(None, s2, tmp_path / "there.tif", config=config, scheduler="processes", workers=2)
    for name in ("scene", "provenance", "source_days"):
        assert Path(getattr(here, name)).read_bytes() == Path(getattr(there, name)).read_bytes(), name


def test_a_stopped_run_goes_on_and_one_with_a_changed_reference_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s2, others, config = place(tmp_path, ("20240507", Date(days=-3)))

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "_finish", fail)
        with pytest.raises(KeyboardInterrupt):
            predict_scene(None, s2, tmp_path / "out.tif", config=config)
    kept = tmp_path / ".out.tif.geocr" / "manifest.json"
    before = json.loads(kept.read_text())["fingerprint"]
    result = predict_scene(None, s2, tmp_path / "out.tif", config=config)
    assert result.summary["tiles_computed"] == 0  # all was done before the stop
    with monkeypatch.context() as patch:
        patch.setattr(run, "_finish", fail)
        os.utime(others[0], (1, 1))
        with pytest.raises(KeyboardInterrupt):
            predict_scene(None, s2, tmp_path / "out.tif", config=config, overwrite=True)
    assert json.loads(kept.read_text())["fingerprint"] != before
    shutil.rmtree(kept.parent)


def test_a_reference_on_another_grid_is_warped(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path)
    shifted = np.pad(GROUND, ((0, 0), (7, 20), (5, 30)), mode="edge")
    other = write_raster(
        tmp_path / "S2_20240501.tif",
        counts(shifted),
        nodata=0,
        descriptions=BANDS,
        scale=1e-4,
        transform=TRANSFORM * TRANSFORM.translation(-5, -7),
    )
    config = config.model_copy(update={"references": (other,)})
    out = pixels_of(predict_scene(None, s2, tmp_path / "out.tif", config=config))
    assert np.abs(out["scene"].astype(int) - counts(GROUND)).max() <= 3
    assert set(np.unique(out["source_days"])) == {-9, 0}


def test_auto_leaves_far_dates_out_and_temporal_takes_them(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path, ("20240301", Date(days=-70)), ("20240512", Date(days=2)))
    plan = plan_run(None, s2, config=config)
    assert plan["references"] == [{"name": "S2_20240512.tif", "days": 2}]
    assert any("S2_20240301.tif is 70 days before the scene, beyond 30 days" in note for note in plan["notes"])
    every = plan_run(None, s2, config=config.model_copy(update={"method": "temporal"}))
    assert [date["days"] for date in every["references"]] == [2, -70]
    none = plan_run(None, s2, config=config.model_copy(update={"max_days": 1}))
    assert (none["references"], none["method"]["name"]) == ([], "scenefit")


def test_scenefit_reads_no_reference(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path, ("20240512", Date(days=2)))
    Path((config.references or ("",))[0]).write_bytes(b"no raster: it is not so much as opened")
    plan = plan_run(None, s2, config=config.model_copy(update={"method": "scenefit"}))
    assert plan["method"]["name"] == "scenefit"
    assert any("the 1 reference(s) are not used" in note for note in plan["notes"])


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    s2, others, config = place(tmp_path, ("20240512", Date(days=2)))

    def refused(**changes: Any) -> dict[str, Any]:
        return plan_run(None, s2, config=config.model_copy(update=changes))

    with pytest.raises(InputError, match="--method temporal fills from other dates, and there is none"):
        refused(references=None, method="temporal")
    with pytest.raises(InputError, match="--checkpoint implies its own method, got --method temporal"):
        refused(checkpoint="model.safetensors", method="temporal")
    with pytest.raises(RasterNotFoundError):
        refused(references=(str(tmp_path / "S2_20240501_gone.tif"),))
    nameless = shutil.copy(others[0], tmp_path / "other.tif")
    with pytest.raises(InputError, match=r"needs the day of each; .* a reference, other.tif; name the file with it"):
        refused(references=(str(nameless),))
    two = write_raster(tmp_path / "S2_20240513.tif", counts(GROUND)[:2], nodata=0, descriptions=BANDS[:2], scale=1e-4)
    with pytest.raises(BandError, match=r"S2_20240513\.tif lacks B04"):
        refused(references=(two,))
    far = write_raster(
        tmp_path / "S2_20240514.tif",
        counts(GROUND),
        nodata=0,
        descriptions=BANDS,
        scale=1e-4,
        transform=TRANSFORM * TRANSFORM.translation(900, 0),
    )
    with pytest.raises(GeoreferenceError, match="a reference must overlap the scene"):
        refused(references=(far,))
    with pytest.raises(InputError, match="an output may not be one of the inputs"):
        predict_scene(None, s2, others[0], config=config, overwrite=True)


def test_the_scene_itself_and_a_date_named_twice_are_refused(tmp_path: Path) -> None:
    s2, others, config = place(tmp_path, ("20240512", Date(days=2)))
    for named, why in (((s2,), "the scene itself"), ((others[0], f"{tmp_path}/../{tmp_path.name}/S2_20240512.tif"), "named twice")):
        with pytest.raises(InputError, match=f"each reference is another date, given once; .* is {why}; leave it out"):
            plan_run(None, s2, config=config.model_copy(update={"references": named}))


def test_a_reference_of_the_other_level_is_said_and_no_model_takes_it(tmp_path: Path) -> None:
    """With cirrus it is L1C, with all other bands L2A."""
    pixels = np.full((13, 64, 64), 900, np.uint16)
    l2a = tuple(band for band in L1C_BANDS if band != "B10")
    s2 = write_raster(tmp_path / "S2_20240510.tif", pixels[:12], nodata=0, descriptions=l2a, scale=1e-4)
    other = write_raster(tmp_path / "S2_20240512.tif", pixels, nodata=0, descriptions=L1C_BANDS, scale=1e-4)
    config = PredictConfig(cloud_mask="rule", references=(other,))
    assert any("it is L1C and the scene L2A" in note for note in plan_run(None, s2, config=config)["notes"])
    arguments = {"optical_bands": l2a, "level": "L2A"}
    save_checkpoint(tmp_path / "m.safetensors", Mosaic(**arguments), name="mosaic", kwargs=arguments)
    config = config.model_copy(update={"checkpoint": str(tmp_path / "m.safetensors")})
    with pytest.raises(CheckpointError, match=r"S2_20240512.tif is L1C and the scene L2A: give the L2A product .* or add --any-level"):
        plan_run(None, s2, config=config)
    assert plan_run(None, s2, config=config.model_copy(update={"any_level": True}))["dates"] == 1


def test_a_warped_reference_keeps_its_sun(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path)
    moved = TRANSFORM * TRANSFORM.translation(-5, -7)
    other = write_raster(tmp_path / "S2_20240501.tif", counts(GROUND), nodata=0, descriptions=BANDS, scale=1e-4, transform=moved)
    with rasterio.open(other, "r+") as file:
        file.update_tags(mean_sun_zenith_angle="40", mean_sun_azimuth_angle="150")
    scene = open_scene(s2)
    (date,), _ = open_references(config.model_copy(update={"references": (other,)}), scene)
    assert date.facts["sun_zenith_deg"] == 40
    assert (date.scene.grid, date.days) == (scene.grid, -9)


def test_a_damaged_reference_stops_the_run_or_counts_as_nodata(tmp_path: Path) -> None:
    s2, others, config = place(tmp_path, ("20240512", Date(days=2)))
    damaged = tmp_path / "S2_20240511.tif"
    write_raster(damaged, counts(GROUND), nodata=0, descriptions=BANDS, scale=1e-4, block=128)
    content = bytearray(damaged.read_bytes())
    with rasterio.open(damaged) as file:
        offset = int(file.tags(1, ns="TIFF").get("BLOCK_OFFSET_1_1") or file.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    content[offset : offset + 2000] = bytes(2000)
    damaged.write_bytes(content)
    config = config.model_copy(update={"references": (str(damaged), others[0])})
    with pytest.raises(RasterReadError, match=r"every block of an input must decode; .*S2_20240511.tif"):
        predict_scene(None, s2, tmp_path / "out.tif", config=config)
    result = predict_scene(None, s2, tmp_path / "out.tif", config=config.model_copy(update={"on_error": "nodata"}), overwrite=True)
    days = pixels_of(result)["source_days"][0]
    assert set(np.unique(days[MASK])) == {1, 2}
    assert any("S2_20240511.tif" in sentence for sentence in result.summary["damaged_blocks"])


def test_masks_of_references_are_widened_like_the_scenes(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path, ("20240512", Date(days=2, clouds=disc(SHAPE, 150, 140, 20))))
    masks = []
    for buffer in (0, 12):
        (date,), _ = open_references(config.model_copy(update={"mask_buffer_px": buffer}), open_scene(s2))
        masks.append(date.mask.read(date.scene.grid.window))
    assert masks[0][150, 140]
    assert masks[1].sum() > 1.5 * masks[0].sum()


def test_files_of_a_product_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    s2, _, config = place(tmp_path)
    folder = tmp_path / "S2A_20240505"
    folder.mkdir()
    for pixels, band in zip(counts(GROUND), BANDS, strict=True):
        write_raster(folder / f"{band}.tif", pixels[None], nodata=0, scale=1e-4)
    prints = []
    for stamp in (1, 2):
        os.utime(folder / "B03.tif", (stamp, stamp))
        with rasterio.Env():
            prints.append(fingerprint_of(prepare_scene(s2, None, config.model_copy(update={"references": (str(folder),)}), threads=1)))
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("text", "s2", "s1"), [("a.tif", "a.tif", None), ("a.tif, b.tif", "a.tif", "b.tif"), ("a,vv.tif,vh.tif", "a", "vv.tif,vh.tif")]
)
def test_a_reference_is_parsed(text: str, s2: str, s1: str | None) -> None:
    assert Reference.parse(text) == Reference(s2=s2, s1=s1)


@pytest.mark.parametrize("text", ["", ",", "a.tif,", ",s1.tif"])
def test_half_a_reference_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--reference takes S2 or S2,S1"):
        Reference.parse(text)


@pytest.mark.real_data
@pytest.mark.slow
def test_a_clear_date_hidden_by_real_clouds_comes_back_better_than_by_anything_else(real_data: Path, tmp_path: Path) -> None:
    """13 August 2023 with the clouds of 18 August over it, filled from 15 August: T33TWM at 120 m."""
    source = real_data / "s2_l2a_scene_T33TWM_120m"
    names = ("S2B_33TWM_20230813_0_L2A", "S2A_33TWM_20230815_0_L2A", "S2A_33TWM_20230818_0_L2A")
    target, near, cloudy = (write_local_item(source / name, tmp_path) for name in names)
    with rasterio.open(source / names[2] / "SCL.tif") as file:
        clouds: BoolArray = np.isin(file.read(1), (3, 8, 9, 10))
        with rasterio.open(source / names[0] / "SCL.tif") as own:
            unsure: BoolArray = binary_dilation(np.isin(own.read(1), (0, 3, 8, 9, 10)), iterations=2)
        clouds |= unsure
        mask = write_raster(tmp_path / "hidden.tif", clouds[None].astype(np.uint8), transform=file.transform)
    config = PredictConfig(cloud_mask=mask, mask_buffer_px=0, references=(near, cloudy))
    result = predict_scene(None, target, tmp_path / "out.tif", config=config)
    truth, other = (
        np.stack([rasterio.open(source / name / f"{band}.tif").read(1) for band in ("B02", "B03", "B04", "B08")]) for name in names[:2]
    )
    out = pixels_of(result)
    tested = (out["provenance"][0] == Provenance.OBSERVED_ON_ANOTHER_DATE) & (other > 0).all(axis=0) & ~unsure
    assert tested.sum() > 300_000
    assert set(np.unique(out["source_days"][0][tested])) <= {2, 5}

    def rmse(filled: NDArray[Any]) -> float:
        return float(np.sqrt(((filled.astype(float) - truth)[:, tested] ** 2).mean()) * 1e-4)

    assert rmse(out["scene"]) < 0.8 * rmse(other)
    assert rmse(out["scene"]) < 0.025


@pytest.mark.real_data
def test_a_product_of_another_extent_is_laid_over_a_part_of_its_tile(real_data: Path, tmp_path: Path) -> None:
    """A window of 15 August as a file of its own, filled from the item of the whole tile on 13 August."""
    source = real_data / "s2_l2a_scene_T33TWM_120m"
    near, far = "S2A_33TWM_20230815_0_L2A", "S2B_33TWM_20230813_0_L2A"
    bands = ("B02", "B03", "B04", "B08")
    window = ((500, 740), (300, 560))
    opened = [rasterio.open(source / near / f"{band}.tif") for band in bands]
    pixels = np.stack([file.read(1, window=window) for file in opened])
    transform = opened[0].transform * opened[0].transform.translation(300, 500)
    s2 = write_raster(tmp_path / "S2_20230815.tif", pixels, nodata=0, descriptions=bands, scale=1e-4, transform=transform)
    hidden = disc(pixels.shape[1:], 120, 130, 50)
    mask = write_raster(tmp_path / "mask.tif", hidden[None].astype(np.uint8), transform=transform)
    reference = write_local_item(source / far, tmp_path)
    config = PredictConfig(cloud_mask=mask, mask_buffer_px=0, references=(reference,))
    result = predict_scene(None, s2, tmp_path / "out.tif", config=config)
    assert any("Cloud mask auto takes the product's own scene classification" in note for note in result.summary["notes"])
    out = pixels_of(result)
    assert set(np.unique(out["source_days"][0][hidden])) <= {-2, DAYS_NODATA}
    borrowed = hidden & (out["source_days"][0] == -2)
    assert borrowed.sum() > 0.9 * hidden.sum()
    error = (out["scene"].astype(float) - pixels)[:, borrowed] * 1e-4
    assert np.sqrt((error**2).mean()) < 0.03
