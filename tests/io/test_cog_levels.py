"""The raster and all its overviews in a COG: every pixel, every tile in its place, whatever the size and the cuts."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geocr.core.errors import OutputWriteError
from geocr.io.cog import assemble_cog
from geocr.io.overviews import overview_factors
from geocr.io.spec import RasterSpec
from geocr.io.tiff import read_images
from geocr.io.tiles import encode_tiles
from tests.io.test_cog import make_cog, make_pixels, make_spec, require_same, write_parts


def reference_levels(pixels: NDArray[Any], spec: RasterSpec) -> list[NDArray[Any]]:
    """The raster and its overviews, each of the level before, by means over whole arrays of float64."""
    levels = [pixels]
    for _ in overview_factors(spec.grid.shape):
        fine = levels[-1]
        if spec.resampling == Resampling.nearest:
            levels.append(fine[:, ::2, ::2])
            continue
        empty = np.isnan(fine) | (fine == (np.nan if spec.nodata is None else spec.nodata))
        seen = np.where(empty, np.nan, fine.astype(np.float64))
        seen = np.pad(seen, ((0, 0), (0, fine.shape[1] % 2), (0, fine.shape[2] % 2)), constant_values=np.nan)
        squares = np.stack([seen[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
        count = np.isfinite(squares).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.nansum(squares, axis=0) / count
        mean = mean if np.dtype(spec.dtype).kind == "f" else np.floor(mean + 0.5)
        levels.append(np.where(count == 0, np.nan if spec.nodata is None else spec.nodata, mean).astype(spec.dtype))
    return levels


def require_levels(path: Path, spec: RasterSpec, pixels: NDArray[Any]) -> None:
    for level, expected in enumerate(reference_levels(pixels, spec)):
        with rasterio.open(path, **({"overview_level": level - 1} if level else {})) as dataset:
            got = dataset.read()
        if np.dtype(spec.dtype).kind == "f":
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(got, expected)


def require_cog_order(path: Path) -> None:
    """Directories, then overviews from coarse to fine, then the raster; in each band after band in reading order; sizes and ends beside each tile."""
    data = path.read_bytes()
    with path.open("rb") as stream:
        images = read_images(stream)
        assert [image.shape for image in images] == sorted((image.shape for image in images), reverse=True)
        fields = [field for image in images for field in (image.offsets, image.sizes)]
        end = max(field.position + struct.calcsize(field.packing) for field in fields)
        for image in reversed(images):
            for offset, size in zip(image.offsets.read(stream), image.sizes.read(stream), strict=True):
                assert offset - 4 >= end
                assert data[offset - 4 : offset] == struct.pack("<I", size)
                assert data[offset + size : offset + size + 4] == data[offset + size - 4 : offset + size]
                end = offset + size + 4
    assert end == len(data)  # nothing is left between or behind


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_raster_and_its_overviews(tmp_path: Path, data: st.DataObject) -> None:
    side = st.one_of(st.integers(1, 40), st.sampled_from([511, 512, 513, 1023, 1025, 1300]))
    shape = data.draw(st.tuples(side, side), label="shape")
    dtype, nodata = data.draw(
        st.sampled_from(
            [("uint8", 0), ("uint8", None), ("uint16", 0), ("uint16", 65535), ("int16", -32768), ("float32", np.nan), ("float32", -9999.0)]
        )
    )
    resampling = data.draw(st.sampled_from([Resampling.average, Resampling.nearest]))
    spec = make_spec(shape, count=data.draw(st.integers(1, 3)), dtype=dtype, nodata=nodata, resampling=resampling)
    pixels = make_pixels(spec, seed=data.draw(st.integers(0, 9)))
    if nodata is not None:
        pixels[:, np.random.default_rng(0).random(shape) < data.draw(st.sampled_from([0, 0.3, 1]))] = nodata
    coarsest = max(overview_factors(shape), default=1)
    cuts = [coarsest * cut for cut in data.draw(st.lists(st.integers(1, 200), max_size=3), label="cuts")]
    bigtiff = data.draw(st.sampled_from(["yes", "no"]), label="bigtiff")
    options = RasterSpec.creation_options
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RasterSpec, "creation_options", lambda self, block: {**options(self, block), "bigtiff": bigtiff})
        path = make_cog(tmp_path, spec, pixels, cuts=cuts, chunk=data.draw(st.sampled_from([1300, 100, 7]), label="chunk"))
    assert path.read_bytes()[2] == {"yes": 43, "no": 42}[bigtiff]
    require_same(path, spec, pixels)
    require_levels(path, spec, pixels)
    require_cog_order(path)


@pytest.mark.parametrize("cuts", [(), (1024,), (1024, 2048), (512, 1536)])
def test_tiles_that_are_copied_are_those_that_would_be_made(tmp_path: Path, cuts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec((2100, 700))
    pixels = make_pixels(spec)
    parts = write_parts(tmp_path, spec, pixels, cuts=cuts, chunk=640)
    again = []
    from geocr.io import cog

    def noticed(pixels: NDArray[Any], spec: RasterSpec, block: int) -> list[bytes]:
        again.append(pixels.shape)
        return encode_tiles(pixels, spec, block)

    monkeypatch.setattr(cog, "encode_tiles", noticed)
    path = assemble_cog(parts, tmp_path / "out.tif", spec)
    require_levels(path, spec, pixels)
    if len(cuts) < 2 and cuts != (1024,):
        assert again == []
    if cuts == (1024, 2048):  # as the plan cuts: the raster and its first overview are copied
        assert {shape for shape in again if shape[1] > 175} == set()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_damage_is_noticed_at_every_level(tmp_path: Path, level: int) -> None:
    spec = make_spec((2048, 300), count=1)
    parts = write_parts(tmp_path, spec, make_pixels(spec), cuts=(1024,))
    with parts[1][0].open("r+b") as stream:
        image = read_images(stream)[level]
        place = image.offsets.read(stream)[-1] + image.sizes.read(stream)[-1] // 2
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(OutputWriteError, match="the file was damaged"):
        assemble_cog(parts, tmp_path / "out.tif", spec)
