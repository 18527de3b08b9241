"""The before, after and provenance picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from geocr.core.errors import OutputWriteError, RasterNotFoundError
from geocr.inference.products import PROVENANCE_CATEGORIES
from geocr.report.quicklook import PANEL_PX, write_quicklook
from tests.scenes import write_raster

COLOURS = {value: rgba[:3] for value, (_, rgba) in PROVENANCE_CATEGORIES.items()} | {0: (255, 255, 255)}


@dataclass(frozen=True)
class Panels:
    """The picture taken apart."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    provenance: NDArray[np.uint8]


@dataclass(frozen=True)
class Run:
    """Files such as a run writes."""

    before: str
    after: str
    provenance: str
    classes: NDArray[np.uint8]
    picture: Path

    def draw(self) -> Panels:
        assert write_quicklook(self.before, self.after, self.provenance, self.picture) == self.picture
        image = np.asarray(Image.open(self.picture).convert("RGB"))
        shrink = max(1.0, max(self.classes.shape) / PANEL_PX)
        height, width = (max(1, round(side / shrink)) for side in self.classes.shape)
        column = max(width, 420) + 16
        assert image.shape[1] == 3 * column + 16
        parts = [image[50 : 50 + height, 16 + number * column : 16 + number * column + width] for number in range(3)]
        return Panels(*parts)


def make_run(
    folder: Path, shape: tuple[int, int], *, bands: tuple[str, ...] = ("B02", "B03", "B04", "B08"), dtype: str = "uint16", nodata: float = 0
) -> Run:
    rng = np.random.default_rng(2)
    after = rng.uniform(500, 2500, (len(bands), *shape)).astype(dtype)
    classes = np.ones(shape, np.uint8)
    classes[: shape[0] // 3, : shape[1] // 2] = 2
    classes[shape[0] // 2 :, shape[1] // 2 :] = 3
    classes[-max(1, shape[0] // 4) :, : max(1, shape[1] // 4)] = 0
    before = after.copy()
    before[:, classes >= 2] = 9000
    for array in (before, after):
        array[:, classes == 0] = nodata
    names = {"nodata": nodata, "descriptions": bands}
    path = folder / "provenance.tif"
    write_raster(path, classes[None], nodata=0, tags={f"PROVENANCE_{value}": name for value, (name, _) in PROVENANCE_CATEGORIES.items()})
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {int(value): rgba for value, (_, rgba) in PROVENANCE_CATEGORIES.items()})
    return Run(
        before=write_raster(folder / "before.tif", before, **names),
        after=write_raster(folder / "after.tif", after, **names, tags={"ATTRIBUTION": "Contains modified Copernicus Sentinel data [2021]"}),
        provenance=str(path),
        classes=classes,
        picture=folder / "picture.png",
    )


@pytest.mark.parametrize("shape", [(64, 64), (1, 1), (3, 200), (200, 3), (97, 131), (450, 610)])
@pytest.mark.parametrize("bands", [("B02", "B03", "B04", "B08"), ("B08",), ("B11", "B12"), ("B12", "B11", "B8A")])
def test_before_and_after_differ_under_the_mask_alone(tmp_path: Path, shape: tuple[int, int], bands: tuple[str, ...]) -> None:
    run = make_run(tmp_path, shape, bands=bands)
    panels = run.draw()
    rebuilt = run.classes >= 2
    np.testing.assert_array_equal(panels.before[~rebuilt], panels.after[~rebuilt])
    assert (panels.before[rebuilt] == 255).all()  # cloud is brighter than the stretch
    if rebuilt.any() and rebuilt.sum() > 100:
        assert (panels.after[rebuilt] != 255).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("shape", [(64, 64), (97, 131)])
def test_the_colours_are_those_of_the_classes(tmp_path: Path, shape: tuple[int, int]) -> None:
    run = make_run(tmp_path, shape)
    panels = run.draw()
    for value, colour in COLOURS.items():
        assert (panels.provenance[run.classes == value] == colour).all()


def test_nodata_is_white_in_every_panel(tmp_path: Path) -> None:
    run = make_run(tmp_path, (97, 131))
    panels = run.draw()
    for panel in (panels.before, panels.after, panels.provenance):
        assert (panel[run.classes == 0] == 255).all()
    assert (panels.after[run.classes == 1] < 255).any(axis=1).mean() > 0.9


def test_true_colour_whatever_the_order_of_bands(tmp_path: Path) -> None:
    pictures = []
    for name, bands in (("a", ("B02", "B03", "B04")), ("b", ("B04", "B02", "B03"))):
        folder = tmp_path / name
        folder.mkdir()
        level = {"B04": 3000, "B03": 2000, "B02": 1000}
        pixels = np.stack([np.full((40, 50), level[band], np.uint16) for band in bands])
        run = make_run(folder, (40, 50), bands=bands)
        for path in (run.before, run.after):
            with rasterio.open(path, "r+") as dataset:
                dataset.write(pixels)
        pictures.append(run.draw().after[0, 40])
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert pictures[0][0] > pictures[0][1] > pictures[0][2]


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("float32", np.nan), ("float32", -9999.0), ("uint8", 0)])
def test_other_types_of_pixels(tmp_path: Path, dtype: str, nodata: float) -> None:
    run = make_run(tmp_path, (60, 70), dtype="float32" if dtype == "uint8" else dtype, nodata=nodata)
    if dtype == "float32" and not np.isnan(nodata):
        with rasterio.open(run.after, "r+") as dataset:  # a hole in one band alone
            band = dataset.read(1)
            band[30, 30] = nodata
            dataset.write(band, 1)
    panels = run.draw()
    assert (panels.after[run.classes == 0] == 255).all()
    assert panels.after[run.classes == 1].std() > 20


def test_a_hole_in_one_band_does_not_set_the_stretch(tmp_path: Path) -> None:
    run = make_run(tmp_path, (60, 70), dtype="int16", nodata=-9999)
    plain = run.draw().after
    with rasterio.open(run.after, "r+") as dataset:
        band = dataset.read(3)
        band[20:28] = -9999
        dataset.write(band, 3)
    holed = run.draw().after
    rows = np.r_[0:19, 29:60]
    assert np.abs(plain[rows].astype(int) - holed[rows]).max() < 20


def test_a_scene_of_nothing_but_nodata(tmp_path: Path) -> None:
    run = make_run(tmp_path, (60, 70), dtype="float32", nodata=np.nan)
    for path, value in ((run.before, np.nan), (run.after, np.nan), (run.provenance, 0)):
        with rasterio.open(path, "r+") as dataset:
            dataset.write(np.full((dataset.count, 60, 70), value, dataset.dtypes[0]))
    panels = run.draw()
    assert (np.stack([panels.before, panels.after, panels.provenance]) == 255).all()


def test_a_large_scene_is_drawn_small(tmp_path: Path) -> None:
    run = make_run(tmp_path, (1000, 2000))
    panels = run.draw()
    assert panels.after.shape == (450, 900, 3)


def test_the_picture_is_replaced_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path, (60, 70))
    run.picture.write_bytes(b"old")
    run.draw()
    assert not list(tmp_path.glob("*.partial"))


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, (60, 70))
    with pytest.raises(OutputWriteError, match=r"quicklook must be writable; .*absent/p\.png is not: .*-o"):
        write_quicklook(run.before, run.after, run.provenance, tmp_path / "absent" / "p.png")
    run.picture.mkdir()
    with pytest.raises(OutputWriteError, match="quicklook must be writable"):
        write_quicklook(run.before, run.after, run.provenance, run.picture)
    assert not list(tmp_path.glob("*.partial"))


def test_a_missing_raster_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, (60, 70))
    with pytest.raises(RasterNotFoundError, match=r"absent\.tif"):
        write_quicklook(run.before, str(tmp_path / "absent.tif"), run.provenance, run.picture)
