"""Runs on Sentinel-2 products: the same laws as on a raster, results named after the product."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import DatasetReader

from geocr.config import PredictConfig
from geocr.core.errors import OutputExistsError
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.outputs import default_output
from geocr.inference.prepare import prepare_scene
from geocr.inference.record import fingerprint_of
from geocr.inference.run import predict_scene
from geocr.io.open import open_scene
from geocr.report.quicklook import write_quicklook
from tests.data_makers.products import EARTH_SEARCH, FakeProduct, write_aws, write_band_folder, write_item, write_safe, zip_folder
from tests.scenes import write_raster

PRODUCT = FakeProduct(level="L2A", rows_10m=120, cols_10m=132, empty_cols_10m=36)
MAKERS: dict[str, Callable[[Path], Path]] = {
    "safe": lambda folder: write_safe(folder, PRODUCT),
    "zip": lambda folder: zip_folder(write_safe(folder, PRODUCT)),
    "aws": lambda folder: write_aws(folder, PRODUCT),
    "item": lambda folder: write_item(folder, PRODUCT),
    "bands": lambda folder: write_band_folder(folder, PRODUCT),
}


@dataclass(frozen=True)
class Grey:
    """A method that knows one answer."""

    tile: TileSpec = field(default_factory=lambda: TileSpec(size_px=64, overlap_px=8))
    has_std: bool = False

    def describe(self) -> dict[str, Any]:
        return {"name": "grey"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        return Reconstruction(mean=np.full_like(tile.optical, 0.3))


def cloud_file(folder: Path, shape: tuple[int, int]) -> str:
    """A mask over the same ground, with cloud in the middle and over a part of the nodata wedge."""
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 8 : shape[1] // 2] = 1
    place = PRODUCT.place(10)
    return write_raster(
        folder / "mask.tif",
        mask[None],
        crs=place.crs,
        transform=rasterio.Affine(10 * PRODUCT.cols_10m / shape[1], 0, place.left, 0, -10 * PRODUCT.rows_10m / shape[0], place.top),
    )


def check_laws(path: Path, result: DatasetReader, provenance: DatasetReader, config: PredictConfig) -> None:
    scene = open_scene(
        str(path),
        s2_bands=config.s2_bands,
        s2_offset=config.s2_offset,
        resolution_m=config.resolution_m,
        s2_resampling=config.s2_resampling,
    )
    assert (result.crs, result.transform, result.shape) == (scene.grid.crs, scene.grid.transform, scene.grid.shape)
    given, got, classes = scene.read_dn(scene.grid.window), result.read(), provenance.read(1)
    observed, rebuilt = classes == 1, classes >= 2
    assert observed.any()
    assert rebuilt.any()
    np.testing.assert_array_equal(got[:, observed], given[:, observed])
    np.testing.assert_array_equal(got == 0, given == 0)
    np.testing.assert_array_equal(classes == 0, (given == 0).all(axis=0))
    assert (result.scales[0], result.offsets[0], result.nodata) == (scene.scale.scale, scene.scale.offset, 0)
    full = rebuilt & (given > 0).all(axis=0)
    assert np.abs(got[:, full] * result.scales[0] + result.offsets[0] - 0.3).max() < 1e-4
    assert result.descriptions == scene.bands


@pytest.mark.parametrize("kind", MAKERS)
def test_a_run_on_each_layout_keeps_the_laws(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / "in")
    config = PredictConfig(cloud_mask=cloud_file(tmp_path, (120, 132)), mask_buffer_m=0, s2_offset=-0.1 if kind == "bands" else None)
    done = predict_scene(None, str(path), tmp_path / "out.tif", config=config, reconstructor=Grey())
    with rasterio.open(done.scene) as result, rasterio.open(done.provenance) as provenance:
        check_laws(path, result, provenance, config)
        tags = result.tags()
    assert tags["GEOCR_INPUT_S2"] == ("bands" if kind == "bands" else PRODUCT.name)
    assert json.loads(tags["GEOCR_SCALE"])["offset"] == -0.1
    assert tags["ATTRIBUTION"] == "Contains modified Copernicus Sentinel data [2023]"
    assert "<VRT" not in json.dumps(tags)
    if kind not in ("bands", "item"):
        assert (tags["PROCESSING_LEVEL"], tags["PROCESSING_BASELINE"], tags["PRODUCT_URI"]) == ("Level-2A", "05.09", PRODUCT.name)
    picture = write_quicklook(str(path), str(done.scene), str(done.provenance), tmp_path / "look.png")
    assert picture.stat().st_size > 1000


def test_a_coarser_run(tmp_path: Path) -> None:
    path = write_safe(tmp_path / "in", PRODUCT)
    config = PredictConfig(cloud_mask=cloud_file(tmp_path, (60, 66)), mask_buffer_m=0, resolution_m=20, s2_resampling="cubic")
    done = predict_scene(None, str(path), tmp_path / "out.tif", config=config, reconstructor=Grey())
    with rasterio.open(done.scene) as result, rasterio.open(done.provenance) as provenance:
        assert (result.transform.a, result.shape) == (20, (60, 66))
        check_laws(path, result, provenance, config)
        assert json.loads(result.tags()["GEOCR_PARAMETERS"])["resolution_m"] == 20
    assert any("averaged" in note for note in done.summary["notes"])


def test_a_result_lies_beside_the_product_under_its_name(tmp_path: Path) -> None:
    safe = tmp_path / f"{PRODUCT.name}.SAFE"
    safe.mkdir()
    wanted = tmp_path / f"{PRODUCT.name}_cloudfree.tif"
    assert default_output(str(safe)) == default_output(f"{safe}/") == default_output(str(safe / "MTD_MSIL2A.xml")) == wanted
    assert default_output("https://a.org/items/S2A_33TWM?sig=a/b").name == "S2A_33TWM_cloudfree.tif"
    wanted.touch()
    write_safe(tmp_path, PRODUCT)
    with pytest.raises(OutputExistsError, match=r"_cloudfree\.tif exists"):
        predict_scene(None, str(safe), config=PredictConfig(), reconstructor=Grey())


def test_threads_bands_and_workers_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.inference.plan.BAND_ROWS", 64)
    path = zip_folder(write_safe(tmp_path / "in", PRODUCT))
    config = PredictConfig(cloud_mask=cloud_file(tmp_path, (120, 132)), mask_buffer_m=0)
    bytes_ = set()
    for number, options in enumerate(({"threads": 1}, {"threads": 3}, {"threads": 2, "workers": 2})):
        out = tmp_path / f"{number}.tif"
        predict_scene(None, str(path), out, config=config, reconstructor=Grey(), **options)  # type: ignore[arg-type]
        bytes_.add(out.read_bytes())
    assert len(bytes_) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning")
def test_processes_read_products_too(tmp_path: Path) -> None:
    path = zip_folder(write_safe(tmp_path / "in", PRODUCT))
    config = PredictConfig(cloud_mask=cloud_file(tmp_path, (120, 132)), mask_buffer_m=0)
    outs = [tmp_path / "here.tif", tmp_path / "there.tif"]
    predict_scene(None, str(path), outs[0], config=config)
    predict_scene(None, str(path), outs[1], config=config, scheduler="processes", workers=2)
    assert outs[0].read_bytes() == outs[1].read_bytes()


@dataclass(frozen=True)
class Failing(Grey):
    """The same, until it meets a row."""

    from_row: int = 64

    def __call__(self, tile: TileInput) -> Reconstruction:
        if tile.window.row_stop > self.from_row:
            raise KeyboardInterrupt
        return super().__call__(tile)


def test_a_stopped_run_goes_on_unless_a_file_of_the_product_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.inference.plan.BAND_ROWS", 64)
    path = write_band_folder(tmp_path / "in", FakeProduct(rows_10m=240, cols_10m=60))
    mask = np.ones((240, 60), np.uint8)
    place = PRODUCT.place(10)
    cloud = write_raster(tmp_path / "mask.tif", mask[None], crs=place.crs, transform=rasterio.Affine(10, 0, place.left, 0, -10, place.top))
    config = PredictConfig(cloud_mask=cloud, mask_buffer_m=0, s2_bands=("B02", "B05"))
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        predict_scene(None, str(path), out, config=config, reconstructor=Failing(from_row=200), threads=1)
    assert (tmp_path / ".out.tif.geocr" / "scene_000000.tif").exists()
    done = predict_scene(None, str(path), out, config=config, reconstructor=Failing(from_row=10_000), threads=1)
    assert 0 < done.summary["tiles_computed"] < done.summary["tiles"]
    out.unlink()
    with pytest.raises(KeyboardInterrupt):
        predict_scene(None, str(path), out, config=config, reconstructor=Failing(from_row=200), threads=1, overwrite=True)
    (changed,) = path.glob("*_B05.jp2")
    os.utime(changed, ns=(0, changed.stat().st_mtime_ns + 1_000_000_000))
    done = predict_scene(None, str(path), out, config=config, reconstructor=Failing(from_row=10_000), threads=1, overwrite=True)
    assert done.summary["tiles_computed"] == done.summary["tiles"]


def test_the_fingerprint_covers_every_file_behind_a_product(tmp_path: Path) -> None:
    path = write_safe(tmp_path, PRODUCT)
    mask = cloud_file(tmp_path, (120, 132))

    def now(**settings: Any) -> str:
        return fingerprint_of(prepare_scene(str(path), None, PredictConfig(cloud_mask=mask, **settings), threads=1, reconstructor=Grey()))

    first = now()
    assert now() == first
    seen = {first}
    for pattern in ("*_B11_20m.jp2", "MTD_TL.xml", "MTD_MSIL2A.xml", "*_SCL_20m.jp2"):
        (file,) = path.rglob(pattern)
        os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns + 1_000_000_000))
        seen.add(now())
    seen |= {now(resolution_m=20), now(s2_resampling="cubic"), now(s2_bands=("B02", "B03"))}
    assert len(seen) == 8
    (unused,) = path.rglob("*_B02_60m.jp2")
    before = now()
    os.utime(unused, ns=(0, 0))
    assert now() == before


def test_work_is_done_only_where_a_scene_has_data(tmp_path: Path) -> None:
    """A wedge without data: no tile of it is computed, whatever the mask says there."""
    wide = FakeProduct(rows_10m=120, cols_10m=300, empty_cols_10m=240)
    path = write_safe(tmp_path / "in", wide)
    place = wide.place(10)
    everywhere = write_raster(
        tmp_path / "mask.tif",
        np.ones((1, 120, 300), np.uint8),
        crs=place.crs,
        transform=rasterio.Affine(10, 0, place.left, 0, -10, place.top),
    )
    config = PredictConfig(cloud_mask=everywhere, mask_buffer_m=0)
    done = predict_scene(None, str(path), tmp_path / "out.tif", config=config, reconstructor=Grey())
    assert done.summary["tiles_computed"] <= done.summary["tiles"] // 2
    with rasterio.open(done.scene) as result, rasterio.open(done.provenance) as provenance:
        classes = provenance.read(1)
        assert (classes[:, :240] == 0).all()
        assert (classes[:, 240:] == 3).all()
        assert (result.read()[:, :, :240] == 0).all()


REAL = {
    "zip": ("s2_l1c_safe_resized/S2A_MSIL1C_20180629T000241_N0206_R030_T56JMM_20180629T012042.zip", None),
    "jp2 crop": ("s2_l1c_jp2_crop_native", None),
    "item": ("s2_l2a_scene_T33TWM_120m/S2B_33TWM_20230813_0_L2A/S2B_33TWM_20230813_0_L2A.json", ("B02", "B03", "B04", "B08")),
}


@pytest.mark.real_data
@pytest.mark.parametrize("kind", REAL)
def test_real_products(real_data: Path, tmp_path: Path, kind: str) -> None:
    name, bands = REAL[kind]
    path = real_data / name
    scene = open_scene(str(path), s2_bands=bands)
    rows, cols = scene.grid.shape
    mask = np.zeros((1, rows, cols), np.uint8)
    mask[:, rows // 3 : rows // 2, cols // 3 : cols // 2] = 1
    cloud = write_raster(tmp_path / "mask.tif", mask, crs=scene.grid.crs, transform=scene.grid.transform)
    config = PredictConfig(cloud_mask=cloud, mask_buffer_m=0, s2_bands=bands)
    done = predict_scene(None, str(path), tmp_path / "out.tif", config=config, reconstructor=Grey(tile=TileSpec(size_px=256)))
    with rasterio.open(done.scene) as result, rasterio.open(done.provenance) as provenance:
        check_laws(path, result, provenance, config)
    assert scene.scale.offset == 0.0


@pytest.mark.real_data
def test_the_real_products_say_what_they_are(real_data: Path) -> None:
    safe = open_scene(str(real_data / REAL["zip"][0])).optical_facts
    assert (safe.level, safe.baseline, safe.tile, safe.relative_orbit, safe.detectors) == ("L1C", "02.06", "56JMM", 30, (9, 10, 11, 12))
    assert (safe.sun_zenith_deg, safe.sun_azimuth_deg) == (59.5161129280706, 28.9784209875988)
    item = open_scene(str(real_data / REAL["item"][0]), s2_bands=REAL["item"][1])
    assert "although its bands carry offset -0.1" in "".join(item.notes)
    assert (item.optical_facts.level, item.optical_facts.baseline, item.optical_facts.tile) == ("L2A", "05.09", "33TWM")
    assert item.optical_facts.scl is not None
    assert set(item.bands) <= set(EARTH_SEARCH)


@pytest.mark.real_data
def test_the_bands_of_a_real_product_whose_grids_do_not_nest_lie_over_each_other(real_data: Path) -> None:
    """Neighbouring wavelengths of one scene look alike only if they are aligned; a shift by a coarse pixel shows."""
    scene = open_scene(str(real_data / REAL["zip"][0]))
    dn = scene.read_dn(scene.grid.window).astype(float)
    red, edge = dn[scene.bands.index("B04")], dn[scene.bands.index("B05")]
    inner = slice(20, -20)

    def alike(down: int, right: int) -> float:
        moved = np.roll(edge, (down, right), (0, 1))[inner, inner]
        seen = (red[inner, inner] > 0) & (moved > 0)
        return float(np.corrcoef(red[inner, inner][seen], moved[seen])[0, 1])

    assert alike(0, 0) == max(alike(down, right) for down in (-2, 0, 2) for right in (-2, 0, 2))
    assert alike(0, 0) > 0.7
