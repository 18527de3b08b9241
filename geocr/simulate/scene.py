"""A whole synthetic scene pair from a seed, with its truth, and as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from geocr.clouds.synthesize import CloudSpec, apply_clouds, make_cloud_field
from geocr.core.bands import L1C_BANDS, S1_BANDS, parse_s2_bands
from geocr.core.errors import InputError
from geocr.core.types import BoolArray, ByteArray, FloatArray
from geocr.io.grid import SceneGrid
from geocr.radiometry.optical import OpticalScale
from geocr.simulate.backscatter import LOOKS, make_backscatter
from geocr.simulate.files import ScenePaths, create_raster, sun_tags
from geocr.simulate.landscape import make_landscape
from geocr.simulate.spectra import make_reflectance
from geocr.simulate.traits import make_traits

ORIGIN_M = (399960.0, 5300040.0)
"""Upper-left corner of every synthetic scene, easting and northing in `SCENE_CRS`."""
SCENE_CRS = CRS.from_epsg(32633)
"""UTM zone 33 north, WGS 84."""
MIN_SIDE = 64
"""A smaller scene cannot hold a town, a river and fields."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedScene:
    """A scene pair whose truth is known."""

    clear: FloatArray
    """`(band, y, x)` float32 top-of-atmosphere reflectance without clouds; NaN outside the swath."""
    cloudy: FloatArray
    """Same, with clouds and shadows; equal to `clear`, bit for bit, where both masks are False."""
    sar_db: FloatArray
    """`(2, y, x)` float32, VV and VH sigma0 in dB, with speckle. The same whatever the clouds."""
    cloud_mask: BoolArray
    """`(y, x)`; True is cloud, thick or thin."""
    shadow_mask: BoolArray
    """`(y, x)`; True is ground in the shadow of a cloud, never True together with `cloud_mask`."""
    valid: BoolArray
    """`(y, x)`; True where Sentinel-2 observed, False in the nodata wedge."""
    land_cover: ByteArray
    """`(y, x)` uint8, codes of `geocr.simulate.landscape.LandCover`."""
    bands: tuple[str, ...]
    """Names of the optical bands."""
    crs: CRS
    """Coordinate reference system."""
    transform: Affine
    """Pixel `(column, row)` to `crs`, north up."""
    sun_zenith_deg: float
    """Angle between sun and zenith."""
    sun_azimuth_deg: float
    """Direction towards the sun, clockwise from north."""


def simulate_scene(
    *,
    shape: tuple[int, int] = (1024, 1024),
    seed: int = 0,
    cloud_cover: float = 0.3,
    bands: Sequence[str] = L1C_BANDS,
    nodata_wedge: bool = False,
    pixel_size_m: float = 10.0,
    clouds: CloudSpec | None = None,
    sun_zenith_deg: float = 38.0,
    sun_azimuth_deg: float = 155.0,
    looks: float = LOOKS,
) -> SimulatedScene:
    """Simulate a Sentinel-1 and a cloudy Sentinel-2 image of one invented place.

    Ground, radar and clouds draw from separate streams: the same seed gives the same ground and the same
    Sentinel-1 image under any clouds. Equal arguments give equal bytes.

    Args:
        shape: `(rows, columns)`, each at least 64.
        seed: Not negative.
        cloud_cover: Share of the observed pixels under cloud, 0 to 1; shadows come on top.
        bands: Sentinel-2 bands, any set and order.
        nodata_wedge: Leave a corner of the optical image unobserved, as at the edge of a swath.
        pixel_size_m: Side of a pixel.
        clouds: Sort of clouds; its `cover` is replaced by `cloud_cover`. By default three fifths thick, with
            sizes that suit the scene.
        sun_zenith_deg: 0 to 80.
        sun_azimuth_deg: Direction towards the sun, clockwise from north.
        looks: Equivalent number of looks of the speckle.

    Raises:
        InputError: When an argument is out of its range.
        BandError: When a band is unknown or given twice.
    """
    if min(shape) < MIN_SIDE:
        raise InputError(f"a synthetic scene needs at least {MIN_SIDE} rows and columns, got {shape}")
    if seed < 0:
        raise InputError(f"seed must not be negative, got {seed}")
    names = parse_s2_bands(tuple(bands))
    sun = {"sun_zenith_deg": sun_zenith_deg, "sun_azimuth_deg": sun_azimuth_deg}
    spec = sized_clouds(shape, cloud_cover=cloud_cover, pixel_size_m=pixel_size_m, like=clouds)
    ground, life, light, radar, sky = (np.random.default_rng([seed, stream]) for stream in range(5))
    land = make_landscape(shape, ground, pixel_size_m=pixel_size_m)
    traits = make_traits(land, life, pixel_size_m=pixel_size_m)
    clear = make_reflectance(land, traits, light, bands=names, **sun)
    sar_db = make_backscatter(land, traits, radar, looks=looks, pixel_size_m=pixel_size_m)
    valid = ~_wedge(shape) if nodata_wedge else np.ones(shape, bool)
    clear[:, ~valid] = np.nan
    field = make_cloud_field(shape, spec=spec, rng=sky, pixel_size_m=pixel_size_m, valid=valid, **sun)
    return SimulatedScene(
        clear=clear,
        cloudy=apply_clouds(clear, names, field),
        sar_db=sar_db,
        cloud_mask=field.cloud_mask & valid,
        shadow_mask=field.shadow_mask & valid,
        valid=valid,
        land_cover=land.cover,
        bands=names,
        crs=SCENE_CRS,
        transform=scene_transform(pixel_size_m),
        **sun,
    )


def sized_clouds(shape: tuple[int, int], *, cloud_cover: float, pixel_size_m: float, like: CloudSpec | None) -> CloudSpec:
    """The clouds of `like`, or clouds whose size and height suit a scene of this extent, with this cover."""
    if like is None:
        extent_m = min(shape) * pixel_size_m
        small = min(1.0, extent_m / 5000)
        like = CloudSpec(size_m=min(1800.0, 0.25 * extent_m), base_m=800 * small, depth_m=600 * small)
    return CloudSpec(
        cover=cloud_cover,
        thick_share=like.thick_share,
        cirrus_share=like.cirrus_share,
        size_m=like.size_m,
        base_m=like.base_m,
        depth_m=like.depth_m,
    )


def scene_transform(pixel_size_m: float) -> Affine:
    """Where the pixels of a synthetic scene lie in `SCENE_CRS`."""
    return Affine(pixel_size_m, 0.0, ORIGIN_M[0], 0.0, -pixel_size_m, ORIGIN_M[1])


def _wedge(shape: tuple[int, int]) -> BoolArray:
    """True beyond the edge of the swath: a triangle at the lower right, about 6 % of the scene."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    wedge: BoolArray = (cols / shape[1]) + 0.22 * (rows / shape[0]) > 1.04
    wedge |= (cols / shape[1]) - 0.18 * (1 - rows / shape[0]) > 0.97
    return wedge


def write_scene(
    scene: SimulatedScene, folder: str | Path, *, dtype: str = "uint16", scale: float = 1e-4, offset: float = 0.0, seed: int | None = None
) -> ScenePaths:
    """Write a scene as `scene_s1.tif`, `scene_s2.tif` and, for its truth, `truth_s2.tif` and `truth_mask.tif`.

    Args:
        scene: From `simulate_scene`.
        folder: Made when missing.
        dtype: Of the optical files. Integers have nodata 0, floats NaN.
        scale: Reflectance per DN.
        offset: Reflectance at DN 0; -0.1 is that of products since processing baseline 04.00.
        seed: Noted in the files' tags.

    Returns:
        The four paths. `truth_mask.tif` is uint8: 1 is cloud or shadow, 0 is clear.

    Raises:
        OutputWriteError: When a file cannot be written.
    """
    is_float = np.issubdtype(np.dtype(dtype), np.floating)
    stored = OpticalScale(scale=scale, offset=offset, nodata=float("nan") if is_float else 0.0, dtype=dtype)
    paths = ScenePaths.inside(Path(folder), truth=True)
    rows, cols = scene.cloud_mask.shape
    grid = SceneGrid(crs=scene.crs, transform=scene.transform, shape=(rows, cols))
    tags = sun_tags(scene.sun_zenith_deg, scene.sun_azimuth_deg) | ({} if seed is None else {"GEOCR_SIMULATE_SEED": str(seed)})
    with create_raster(paths.s1, dtype="float32", nodata=np.nan, descriptions=S1_BANDS, grid=grid) as out:
        out.write(scene.sar_db)
    for path, image in ((paths.s2, scene.cloudy), (paths.truth, scene.clear)):
        if path is None:
            continue
        with create_raster(path, dtype=dtype, nodata=stored.nodata, descriptions=scene.bands, scale=stored, tags=tags, grid=grid) as out:
            for number, values in enumerate(image, start=1):
                dn = stored.to_dn(np.where(np.isnan(values), np.float32(0), values))
                dn[np.isnan(values)] = stored.nodata
                out.write(dn, number)
    with create_raster(paths.mask, dtype="uint8", nodata=None, descriptions=("cloud or shadow",), grid=grid) as out:
        out.write((scene.cloud_mask | scene.shadow_mask).astype(np.uint8), 1)
    return paths
