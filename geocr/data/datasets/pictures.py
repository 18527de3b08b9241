"""`PictureDataset`: base of the sets that are 8-bit pictures. No physical unit, no nodata, no georeference."""

from pathlib import Path

import numpy as np

from geocr.core.errors import SampleError
from geocr.core.types import BoolArray
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.reading import Image, read_picture

NODATA = "nothing: pictures have no nodata value, every pixel counts as observed"


class PictureDataset(FusionDataset):
    """A data set of PNG, BMP or JPEG pictures, values 0 to 255.

    Red, green and blue count as B04, B03 and B02. Radar pictures are grey; where one is stored in colour its three channels are
    alike, and the first is taken.
    """

    def _sar_image(self, path: Path) -> Image:
        return Image(pixels=read_picture(path)[:1].astype(np.float32), grid=None)

    def _optical_image(self, path: Path) -> Image:
        pixels = read_picture(path)
        if pixels.shape[0] != 3:
            raise SampleError(f"optical pictures of {self.card.name} are coloured; {path} is grey: is it the radar picture?")
        order = [self.card.optical_bands.index(band) for band in self.optical_bands]
        return Image(pixels=pixels[order].astype(np.float32), grid=None)

    def _mask_image(self, path: Path) -> BoolArray:
        mask: BoolArray = read_picture(path).max(axis=0) > 0
        return mask
