"""Part files: the rows that were written, whole or not at all."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocr.core.errors import OutputWriteError
from geocr.io.part import PartWriter
from tests.io.test_cog import make_pixels, make_spec

tries = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@tries
@given(
    rows=st.integers(1, 700),
    row=st.integers(0, 11).map(lambda blocks: 256 * blocks),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    chunks=st.lists(st.integers(1, 400), min_size=1, max_size=8),
)
def test_a_part_holds_the_rows_however_they_come(tmp_path: Path, rows: int, row: int, dtype: str, chunks: list[int]) -> None:
    cols = 1 + row % 20
    spec = make_spec((row + rows, cols), dtype=dtype)
    pixels = make_pixels(make_spec((rows, cols), dtype=dtype))
    path = tmp_path / "part.tif"
    writer = PartWriter(path, spec, row=row, height=rows)
    first, heights = 0, itertools.cycle(chunks)
    path.unlink(missing_ok=True)
    while first < rows:
        height = next(heights)
        writer.write(pixels[:, first : first + height])
        first += height
    assert not path.exists()
    writer.finish()
    with rasterio.open(path) as part:
        np.testing.assert_array_equal(part.read(), pixels)
        assert part.transform == spec.grid.transform * Affine.translation(0, row)


def test_a_part_with_missing_rows_never_gets_its_name(tmp_path: Path) -> None:
    spec = make_spec((300, 40))
    writer = PartWriter(tmp_path / "part.tif", spec, row=0, height=300)
    writer.write(make_pixels(spec)[:, :299])
    with pytest.raises(OutputWriteError, match=r"part\.tif has 299 of 300 rows"):
        writer.finish()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("row", "height", "rows"), [(0, 402, "0 to 401"), (402, 1598, "402 to 1999"), (1000, 998, "1000 to 1997")])
def test_parts_are_cut_where_overviews_allow(tmp_path: Path, row: int, height: int, rows: str) -> None:
    with pytest.raises(OutputWriteError, match=f"cut at multiples of 4 rows; .* has rows {rows}"):
        PartWriter(tmp_path / "part.tif", make_spec((2000, 40)), row=row, height=height)


def test_more_rows_than_a_part_has_are_refused(tmp_path: Path) -> None:
    spec = make_spec((40, 50))
    writer = PartWriter(tmp_path / "part.tif", spec, row=0, height=40)
    writer.write(make_pixels(spec))
    with pytest.raises(OutputWriteError, match=r"part\.tif has 41 of 40 rows"):
        writer.write(make_pixels(spec)[:, :1])
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputWriteError, match=r"writing .*absent/part\.tif failed: .*-o"):
        PartWriter(tmp_path / "absent" / "part.tif", make_spec((40, 50)), row=0, height=40)
