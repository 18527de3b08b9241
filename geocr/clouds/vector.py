"""A mask of one's own as polygons: GeoJSON, GeoPackage, shapefile and others; what lies inside is cloud.

The polygons are brought to the scene's CRS once and rasterised window by window, with as many pixels of context as the buffer
reaches: a pixel is cloud where its centre lies inside.
"""

from dataclasses import dataclass

from geocr.clouds.mask import Description, MaskRequest, check_inside, refuse_threshold
from geocr.clouds.morphology import dilate_disc, disc_margin
from geocr.core.errors import CloudMaskError
from geocr.core.types import BoolArray, Window
from geocr.io.polygons import GridPolygons, lay_polygons, read_polygons
from geocr.io.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorMask:
    """A cloud mask drawn as polygons."""

    path: str
    """The file."""
    polygons: GridPolygons
    """Its polygons on the scene's grid."""
    buffer_m: float
    """Metres by which clouds are widened."""
    notes: tuple[str, ...] = ()
    """To be said aloud."""
    source: str = "vector"
    """How it is called in tags."""

    @property
    def radius_px(self) -> float:
        """The buffer in scene pixels."""
        return self.buffer_m / self.polygons.grid.pixel_size_m

    def read(self, window: Window) -> BoolArray:
        """The mask of a window: `(height, width)` bool, True is cloud or shadow."""
        shape = self.polygons.grid.shape
        check_inside(window, shape)
        outer = window.grown(disc_margin(self.radius_px), shape)
        cropped: BoolArray = dilate_disc(self.polygons.read(outer), self.radius_px)[window.slices_in(outer)]
        return cropped

    def describe(self) -> Description:
        """Method, buffer and resolution as plain values."""
        return {
            "source": self.source,
            "path": self.path,
            "threshold": None,
            "buffer_m": self.buffer_m,
            "working_resolution_m": self.polygons.grid.pixel_size_m,
            "sun_zenith_deg": None,
            "sun_azimuth_deg": None,
            "shadows": "as in the file",
        }


def make_vector_mask(scene: Scene, request: MaskRequest) -> VectorMask:
    """The polygons of a file as a cloud mask. A file without any, and one whose polygons lie elsewhere, is a scene without clouds.

    Raises:
        CloudMaskError: When no file is given.
        RasterNotFoundError: When there is none at the path.
        RasterReadError: When it is no vector file, or holds points or lines.
        GeoreferenceError: When it names no CRS and its coordinates are no degrees.
        InputError: When a threshold is given.
    """
    if request.raster is None:
        raise CloudMaskError("a cloud mask of polygons needs a file's path, got none; give it as --cloud-mask FILE")
    refuse_threshold(request, "polygons")
    path = request.raster
    polygons = lay_polygons(*read_polygons(path, "--cloud-mask", "a cloud mask", may_be_empty=True), scene.grid)
    said = [f"Clouds are the polygons of {path}, widened by {request.buffer_m:.0f} m."]
    if not polygons.touches_scene:
        said.append(f"No polygon of {path} lies on the scene: nothing is cloud by it (check its CRS if that is not meant).")
    return VectorMask(path=path, polygons=polygons, buffer_m=request.buffer_m, notes=(*request.notes, *said))
