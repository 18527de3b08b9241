"""Masks drawn as polygons, and unions of masks."""

import json
import pickle
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.features import geometry_mask

from geocr.clouds.selection import make_cloud_mask, mask_files, method_without_folders
from geocr.core.errors import GeoreferenceError, InputError, RasterNotFoundError, RasterReadError
from geocr.core.types import Window
from geocr.io.scene import Scene
from tests.clouds.optical import disc, paint, scene_of
from tests.clouds.test_morphology import brute_force
from tests.scenes import TRANSFORM, UTM, write_raster

SHAPE = (60, 70)
X, Y = TRANSFORM.c, TRANSFORM.f
TRIANGLE = shapely.Polygon([(X + 103, Y - 97), (X + 402, Y - 99), (X + 333, Y - 412)])
BOX = shapely.box(X + 500, Y - 300, X + 560, Y - 200)
BOTH = shapely.MultiPolygon([TRIANGLE, BOX])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_of(tmp_path, paint(SHAPE, ("B02", "B08"), cloud=disc(SHAPE, (45, 15), 6)), ("B02", "B08"))


def geojson(path: Path, geometry: shapely.Geometry | None, *, lonlat: bool = True) -> str:
    features = []
    if geometry is not None:
        to = Transformer.from_crs(UTM.to_wkt(), "EPSG:4326", always_xy=True)
        moved = (
            shapely.transform(geometry, lambda points: np.column_stack(to.transform(points[:, 0], points[:, 1]))) if lonlat else geometry
        )
        features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(moved)}]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


def drawn(geometry: shapely.Geometry) -> np.ndarray:
    return geometry_mask([geometry], out_shape=SHAPE, transform=TRANSFORM, invert=True)


@pytest.mark.parametrize("form", ["geojson", "gpkg", "shp"])
def test_polygons_of_any_format_and_crs_are_cloud(scene: Scene, tmp_path: Path, form: str) -> None:
    path = str(tmp_path / f"clouds.{form}")
    if form == "geojson":
        geojson(Path(path), BOTH)
    else:
        import geopandas

        geopandas.GeoDataFrame(geometry=[TRIANGLE, BOX], crs="EPSG:32633").to_file(path)
    mask = make_cloud_mask(scene, path, buffer_m=0)
    assert mask.source == "vector"
    assert np.count_nonzero(mask.read(scene.grid.window) != drawn(BOTH)) <= (2 if form == "geojson" else 0)
    assert mask.describe()["path"] == path
    assert any("polygons of" in note for note in mask.notes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    buffer=st.sampled_from([0, 15, 40, 90]),
)
def test_a_window_is_a_part_of_the_whole(
    scene: Scene, tmp_path: Path, place: tuple[int, int], size: tuple[int, int], buffer: float
) -> None:
    path = geojson(tmp_path / "clouds.geojson", BOTH)
    other = tmp_path / "other.tif"
    if not other.exists():
        write_raster(other, disc(SHAPE, (20, 50), 5)[None].astype(np.uint8))
    window = Window(row=place[0], col=place[1], height=min(size[0], SHAPE[0] - place[0]), width=min(size[1], SHAPE[1] - place[1]))
    for method in (path, f"{path}+{other}"):
        mask = make_cloud_mask(scene, method, buffer_m=buffer)
        whole = mask.read(scene.grid.window)
        np.testing.assert_array_equal(mask.read(window), whole[window.slices_in(scene.grid.window)])


def test_the_buffer_is_metres(scene: Scene, tmp_path: Path) -> None:
    path = geojson(tmp_path / "clouds.geojson", BOX)
    narrow = make_cloud_mask(scene, path, buffer_m=0).read(scene.grid.window)
    np.testing.assert_array_equal(make_cloud_mask(scene, path, buffer_m=40).read(scene.grid.window), brute_force(narrow, 4))


@pytest.mark.parametrize("geometry", [None, shapely.box(X + 9e4, Y, X + 9.1e4, Y + 100)])
def test_no_polygon_on_the_scene_is_a_scene_without_clouds(scene: Scene, tmp_path: Path, geometry: shapely.Geometry | None) -> None:
    mask = make_cloud_mask(scene, geojson(tmp_path / "clouds.geojson", geometry))
    assert not mask.read(scene.grid.window).any()
    assert any("nothing is cloud by it" in note for note in mask.notes)


def test_what_is_no_polygon_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match="a cloud mask is made of polygons"):
        make_cloud_mask(scene, geojson(tmp_path / "point.geojson", shapely.Point(X, Y)))
    (tmp_path / "text.gpkg").write_text("no")
    with pytest.raises(RasterReadError, match="--cloud-mask must be a vector file"):
        make_cloud_mask(scene, str(tmp_path / "text.gpkg"))
    with pytest.raises(InputError, match="threshold"):
        make_cloud_mask(scene, geojson(tmp_path / "clouds.geojson", BOX), threshold=0.5)


def test_metres_without_a_crs_are_refused(scene: Scene, tmp_path: Path) -> None:
    """Taken for degrees they would lie nowhere, and the scene would pass for clear."""
    path = tmp_path / "clouds.shp"
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.raw.write(path, np.array([shapely.to_wkb(BOX)], dtype=object), [], [], geometry_type="Polygon", crs=None)
    with pytest.raises(GeoreferenceError, match=r"without a CRS is in degrees .*clouds.shp names none and spans x"):
        make_cloud_mask(scene, str(path))


def test_a_vector_mask_pickles(scene: Scene, tmp_path: Path) -> None:
    mask = make_cloud_mask(scene, geojson(tmp_path / "clouds.geojson", BOTH), buffer_m=20)
    again = pickle.loads(pickle.dumps(mask))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.read(scene.grid.window), mask.read(scene.grid.window))


# --- unions ---


def test_a_union_is_what_any_part_calls_cloud(scene: Scene, tmp_path: Path) -> None:
    drawing, raster = geojson(tmp_path / "clouds.geojson", BOTH), tmp_path / "own.tif"
    write_raster(raster, disc(SHAPE, (20, 50), 5)[None].astype(np.uint8))
    parts = [make_cloud_mask(scene, method, buffer_m=30) for method in ("rule", drawing, str(raster))]
    union = make_cloud_mask(scene, f"rule+{drawing}+{raster}", buffer_m=30)
    expected = np.logical_or.reduce([part.read(scene.grid.window) for part in parts])
    np.testing.assert_array_equal(union.read(scene.grid.window), expected)
    assert all(part.read(scene.grid.window).any() for part in parts)
    assert union.source == "rule+vector+file"
    facts = json.loads(json.dumps(union.describe()))
    assert facts["buffer_m"] == 30
    assert facts["threshold"] == "by part"
    assert facts["2.path"] == drawing
    assert union.notes[0] == "The cloud mask is the union of several."
    assert len(set(union.notes)) == len(union.notes)


def test_a_union_with_auto_and_a_threshold_for_those_that_score(scene: Scene, tmp_path: Path) -> None:
    drawing = geojson(tmp_path / "clouds.geojson", BOX)
    low = make_cloud_mask(scene, f"auto+{drawing}", threshold=0.01, buffer_m=0)
    assert low.source == "rule+vector"
    assert low.describe()["1.threshold"] == 0.01
    with pytest.raises(InputError, match=r"none of .* has one"):
        make_cloud_mask(scene, f"{drawing}+{drawing}+scl", scl=drawing, threshold=0.5)


def test_the_same_part_twice_is_one(scene: Scene) -> None:
    assert make_cloud_mask(scene, "rule+rule").source == "rule"


def test_a_name_with_a_plus_is_a_file_where_there_is_one(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "clouds+shadows.tif"
    write_raster(path, np.ones((1, *SHAPE), np.uint8))
    assert make_cloud_mask(scene, str(path)).source == "file"
    assert mask_files(str(path)) == (str(path),)
    with pytest.raises(RasterNotFoundError, match="got 'nowhere'"):
        make_cloud_mask(scene, "rule+nowhere")
    with pytest.raises(InputError, match="each a name or a file, got 'rule\\+'"):
        make_cloud_mask(scene, "rule+")


def test_a_url_is_the_last_of_a_union_and_keeps_its_plus() -> None:
    url = "https://example.org/masks/a+b.tif?sig=c+d"
    assert mask_files(f"rule+own.gpkg+{url}") == ("own.gpkg", url)
    assert mask_files(url) == (url,)


def test_tags_name_files_without_folders_and_signatures() -> None:
    assert method_without_folders("rule+/data/own.gpkg+scl=https://example.org/x/SCL.tif?sig=secret") == "rule+own.gpkg+scl=SCL.tif"
    assert method_without_folders("own.gpkg") == "own.gpkg"


def test_files_that_a_mask_names() -> None:
    assert mask_files("auto") == ()
    assert mask_files("s2cloudless+own.gpkg+scl") == ("own.gpkg",)
    assert mask_files("scl=SCL.tif+cldprb=P.tif") == ("SCL.tif", "P.tif")
