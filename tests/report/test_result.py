"""Finding what belongs to a finished scene."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geocr.config import PredictConfig
from geocr.core.errors import GeoreferenceError, InputError, RasterNotFoundError
from geocr.inference.run import predict_scene
from geocr.report.cells import count_cells
from geocr.report.classes import provenance_classes
from geocr.report.html import write_report
from geocr.report.rendering import rgb_indexes, same_bands
from geocr.report.result import beside, find_result, open_result, settings_of
from geocr.report.sample import sample_pixels
from geocr.report.tiles import SceneTiles
from tests.data_makers.products import write_safe
from tests.inference.test_products_run import PRODUCT, Grey, cloud_file
from tests.report.runs import BANDS, make_run
from tests.scenes import TRANSFORM, write_raster


def retag(path: str | Path, **tags: str) -> None:
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)


def test_everything_beside_the_scene_is_found(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    files = find_result(run.scene)
    assert (files.scene, files.provenance) == (run.scene, str(run.beside("_provenance.tif")))
    assert files.std == str(run.beside("_std.tif"))
    assert files.before is not None
    assert files.before.reader.path == run.s2
    assert files.before.bands == BANDS
    assert files.missing == ()
    with open_result(files) as result:
        assert result.bands == BANDS
        assert result.scale == (1e-4, -0.1)
        assert result.before is not None
        np.testing.assert_array_equal(result.before.read(), run.before_dn)
    assert result.scene.closed
    assert result.provenance.closed
    assert result.before.closed


def test_an_input_elsewhere_is_asked_for_and_taken_when_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    elsewhere = Path(run.s2).rename(tmp_path / "moved.tif")
    files = find_result(run.scene)
    assert files.before is None
    assert files.missing == ("The input of the run (s2.tif, the scene before) is not beside the result; name it with --s2.",)
    assert find_result(run.scene, str(elsewhere)).before is not None
    with pytest.raises(RasterNotFoundError, match=r"absent\.tif"):
        find_result(run.scene, str(tmp_path / "absent.tif"))


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/passwd", "", "sub/s2.tif"])
def test_a_tag_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run")
    Path(run.s2).rename(tmp_path / "secret.tif")
    retag(run.scene, GEOCR_INPUT_S2=name)
    assert find_result(run.scene).before is None


def test_an_input_on_another_grid_is_refused_when_named_and_left_out_when_found(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_raster(Path(run.s2), run.before_dn, transform=TRANSFORM * TRANSFORM.translation(1, 0), descriptions=BANDS, nodata=0)
    with pytest.raises(GeoreferenceError, match=r"one grid; .*s2\.tif has 200 x 150 .* give the input of this very run"):
        find_result(run.scene, run.s2)
    files = find_result(run.scene)
    assert files.before is None
    assert "cannot be shown as the scene before" in files.missing[0]


def test_a_deviation_of_another_run_is_left_out(tmp_path: Path) -> None:
    for tag in ("GEOCR_INPUT_S2", "GEOCR_PARAMETERS"):
        run = make_run(tmp_path / tag)
        retag(run.beside("_std.tif"), **{tag: "another"})
        assert find_result(run.scene).std is None
    run = make_run(tmp_path)
    retag(run.beside("_std.tif"), GEOCR_METHOD='{"name": "other"}')
    files = find_result(run.scene)
    assert files.std is None
    assert files.missing == ("clear_std.tif beside the scene is of another run, and left out.",)
    run.beside("_std.tif").unlink()
    assert find_result(run.scene).missing == ("The standard deviation is not beside the scene as clear_std.tif.",)


def test_a_run_without_uncertainty_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, std=False)
    assert find_result(run.scene).missing == ("The run estimated no uncertainty; predict-scene does with --uncertainty.",)


def test_a_scene_of_others_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(InputError, match="a scene that geocr wrote"):
        find_result(run.s2)


def test_the_provenance_must_be_there(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.beside("_provenance.tif").unlink()
    with pytest.raises(RasterNotFoundError, match=r"provenance of a scene must lie beside it.*clear_provenance\.tif.*predict-scene"):
        find_result(run.scene)


def test_names_beside_a_scene() -> None:
    assert beside("/a.b/clear.v2.tif", "_std.tif") == "/a.b/clear.v2_std.tif"
    assert beside("clear.tiff", "_report.html") == "clear_report.html"
    assert beside("s3://bucket/clear.tif", "_std.tif") == "s3://bucket/clear_std.tif"


def test_tags_that_are_no_json_are_no_settings() -> None:
    assert settings_of({"GEOCR_PARAMETERS": "{"}) == {}
    assert settings_of({"GEOCR_PARAMETERS": "[1]"}) == {}
    assert settings_of({"GEOCR_PARAMETERS": '{"later": 1, "seed": 3}'}) == {"seed": 3, "later": 1}


@pytest.mark.parametrize("config", [PredictConfig(), PredictConfig(resolution_m=20), PredictConfig(s2_bands=("B08", "B03", "B02", "B04"))])
def test_a_product_of_several_files_is_the_scene_before(tmp_path: Path, config: PredictConfig) -> None:
    safe = write_safe(tmp_path, PRODUCT)
    mask = cloud_file(tmp_path, (120, 132))
    config = config.model_copy(update={"cloud_mask": mask, "mask_buffer_px": 0})
    out = predict_scene(None, str(safe), tmp_path / "clear.tif", config=config, reconstructor=Grey()).scene
    files = find_result(str(out), str(safe))
    assert files.before is not None
    with open_result(files) as result:
        sample = sample_pixels(result, count_cells(result), provenance_classes(result.provenance))
        assert sample.unchanged is not None
        assert sample.unchanged[0] == sample.unchanged[1] > 100
        bands = rgb_indexes(result.bands)
        assert result.before is not None
        theirs = same_bands(bands, result.bands, files.before.bands)
        seen = result.provenance.read(1) == 1
        np.testing.assert_array_equal(result.scene.read(bands)[:, seen], result.before.read(theirs)[:, seen])
    text = write_report(files, tmp_path / "report.html").read_text()
    assert "Before: the cloudy input" in text
    tiles = SceneTiles(files)
    assert "before" in tiles.layers
    assert tiles.tile("before", 0, 0, 0) != tiles.tile("after", 0, 0, 0)
