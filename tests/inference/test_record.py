"""What products say of their origin."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from geocr.config import PredictConfig
from geocr.inference.prepare import prepare_scene
from geocr.inference.record import attribution, files_read, fingerprint_of
from geocr.inference.sar_record import sar_account
from geocr.io.facts import OpticalFacts
from geocr.io.open import open_scene
from tests.scenes import write_raster

NOTICE = "Contains modified Copernicus Sentinel data [{}]"


def scene_files(folder: Path, s2: str, s1: str, tags: dict[str, str] | None = None) -> tuple[str, str]:
    optical = np.full((2, 20, 20), 900, np.uint16)
    db = np.full((2, 20, 20), -11, np.float32)
    return (
        write_raster(folder / s2, optical, nodata=0, descriptions=("B02", "B03"), tags=tags),
        write_raster(folder / s1, db, nodata=np.nan, descriptions=("VV", "VH")),
    )


@pytest.mark.parametrize(
    ("s2", "s1", "tags", "year"),
    [
        ("a.tif", "b.tif", {"PRODUCT_START_TIME": "2019-07-03T10:00:31Z"}, 2019),
        ("a.tif", "b.tif", {"TIFFTAG_DATETIME": "2018:07:16 06:06:23"}, 2018),
        ("T33TWM_20230818T100031_stack.tif", "b.tif", None, 2023),
        ("scene.tif", "S1A_IW_20210704T165102.tif", None, 2021),
        ("scene_20239912.tif", "b.tif", None, datetime.now(UTC).year),
        ("a.tif", "b.tif", None, datetime.now(UTC).year),
    ],
)
def test_the_notice_names_the_year_of_the_data_where_it_is_known(
    tmp_path: Path, s2: str, s1: str, tags: dict[str, str] | None, year: int
) -> None:
    scene = open_scene(*scene_files(tmp_path, s2, s1, tags))
    assert attribution(scene) == NOTICE.format(year)


def test_a_notice_of_the_input_is_kept(tmp_path: Path) -> None:
    scene = open_scene(*scene_files(tmp_path, "a.tif", "b.tif", {"ATTRIBUTION": "mine"}))
    assert attribution(scene) == "mine"


def test_a_mosaic_tells_of_all_what_they_share_and_of_each_the_rest(tmp_path: Path) -> None:
    s2, near = scene_files(tmp_path, "S2A_20230815T101031.tif", "S1A_20230816T051733_gamma0_asc.tif")
    _, far = scene_files(tmp_path, "S2A_20230815T101031.tif", "S1A_20230801T171733_gamma0_desc.tif")
    one = {"acquired": "2023-08-16T05:17:33+00:00", "days_from_s2": 0.8, "radiometry": "gamma0"}
    other = {"acquired": "2023-08-01T17:17:33+00:00", "days_from_s2": -13.7, "radiometry": "gamma0"}
    assert sar_account(open_scene(s2, f"{far},{near}")) == {
        **one,
        "images": [
            {"name": Path(near).name, **one, "orbit": "ascending"},
            {"name": Path(far).name, **other, "orbit": "descending"},
        ],
    }
    assert sar_account(open_scene(s2, near)) == {**one, "orbit": "ascending"}


def test_a_changed_mask_is_another_run(tmp_path: Path) -> None:
    """What a stopped run goes on from depends on every file of the mask: the user's, and the product's own where it is read."""
    s2, s1 = scene_files(tmp_path, "a.tif", "b.tif")
    own, scl = (write_raster(tmp_path / name, np.full((1, 20, 20), 4, np.uint8)) for name in ("own.tif", "scl.tif"))
    prepared = prepare_scene(s2, s1, PredictConfig(cloud_mask=f"scl={scl}+{own}", s1_units="db"), threads=1)
    prints = [fingerprint_of(prepared)]
    for path in (own, scl):
        Path(path).touch()
        prints.append(fingerprint_of(prepared))
    assert fingerprint_of(prepared) == prints[-1]
    assert len(set(prints)) == 3

    scene = replace(prepared.tiles.scene, optical_facts=OpticalFacts(scl="own_scl.tif", cloud_probability="own_probability.tif"))
    product = replace(prepared, tiles=replace(prepared.tiles, scene=scene))
    assert "own_scl.tif" in files_read(product)
    assert "own_probability.tif" not in files_read(product)
