"""Laws of the tile engine, with reconstructors whose answer is known."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from geocr.core.errors import RasterReadError, ReconstructionError
from geocr.core.types import BoolArray, FloatArray, Reconstruction, TileInput, Window
from geocr.grid.lattice import Lattice
from geocr.grid.spec import TileSpec
from geocr.inference.engine import stream_rows
from geocr.inference.inputs import SceneTiles
from geocr.inference.plan import ScenePlan, plan_scene, survey_clouds
from geocr.inference.products import STD_NODATA
from geocr.io.open import open_scene
from tests.scenes import ArrayMask, write_raster


@dataclass(frozen=True)
class Identity:
    """Gives back what it sees."""

    tile: TileSpec
    has_std: bool = True

    def describe(self) -> dict[str, Any]:
        return {"name": "identity"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        return Reconstruction(mean=tile.optical, std=np.full_like(tile.optical, 0.01))


@dataclass(frozen=True)
class Box(Identity):
    """Mean over a box plus the pixel's place and its SAR: local (radius 3), and not symmetric."""

    radius: int = 3

    def __call__(self, tile: TileInput) -> Reconstruction:
        size = (0, 2 * self.radius + 1, 2 * self.radius + 1)
        filled = np.nan_to_num(tile.optical.astype(np.float64))
        mean = _reflected(filled, size)
        ramp = np.arange(tile.window.row, tile.window.row_stop)[:, None] * 1e-3 + np.arange(tile.window.col, tile.window.col_stop) * 1e-4
        sar = np.nan_to_num(tile.sar.astype(np.float64)).sum(axis=0) * 1e-3
        return Reconstruction(mean=(mean + ramp + sar).astype(np.float32), std=np.full(mean.shape, 0.01, np.float32))


def _reflected(array: NDArray[np.float64], size: tuple[int, int, int]) -> NDArray[np.float64]:
    # rounding makes the running sums of uniform_filter independent of where the window begins
    out: NDArray[np.float64] = np.round(uniform_filter(array, size=size, mode="nearest"), 6)
    return out


@dataclass(frozen=True)
class World:
    """A scene with everything a law needs."""

    dn: NDArray[np.uint16]
    mask: BoolArray
    tiles: SceneTiles

    def run(
        self, reconstructor: Any, *, mode: Any = "replace-clouds", threads: int = 1, batch: int = 1, cuts: tuple[int, ...] = ()
    ) -> dict[str, NDArray[Any]]:
        plan = plan_scene(self.tiles, reconstructor.tile, mode=mode, with_std=True, threads=threads, batch=batch)
        ends = [0, *sorted({cut for cut in cuts if 0 < cut < plan.shape[0]}), plan.shape[0]]
        rows = [
            rows
            for start, stop in itertools.pairwise(ends)
            for rows in stream_rows(self.tiles, plan, reconstructor, row_start=start, row_stop=stop)
        ]
        assert [part.row for part in rows] == list(np.cumsum([0, *[part.scene.shape[1] for part in rows]])[:-1])
        return {name: np.concatenate([getattr(part, name) for part in rows], axis=1) for name in ("scene", "provenance", "std")}


def make_world(folder: Path, *, shape: tuple[int, int], seed: int, cover: float = 0.3, sar: bool = True, block: int | None = None) -> World:
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 10_000, (3, *shape)).astype(np.uint16)
    wedge = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) < min(shape) // 3
    dn[:, wedge] = 0
    dn[1, rng.random(shape) < 0.02] = 0  # partial nodata
    mask = rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1)) < cover
    mask = np.kron(mask, np.ones((4, 4), bool))[: shape[0], : shape[1]].astype(bool)
    s2 = write_raster(folder / f"s2_{seed}.tif", dn, nodata=0, descriptions=("B02", "B03", "B04"), scale=1e-4, offset=-0.1, block=block)
    s1 = None
    if sar:
        db = rng.normal(-12, 3, (2, *shape)).astype(np.float32)
        db[:, :, : shape[1] // 5] = np.nan
        s1 = write_raster(folder / f"s1_{seed}.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    scene = open_scene(s2, s1, s2_offset=-0.1)  # said aloud: of a few pixels, chance makes more negative than an offset may unasked
    return World(dn=dn, mask=mask, tiles=SceneTiles(scene=scene, mask=ArrayMask(mask)))


worlds = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
shapes = st.tuples(st.integers(1, 90), st.integers(1, 90))
lattices = st.builds(
    lambda stride, overlap, halo: TileSpec(size_px=stride + overlap + overlap + 2 * halo, overlap_px=overlap, halo_px=halo),
    st.integers(5, 40),
    st.integers(0, 9),
    st.integers(0, 4),
)


@worlds
@given(shape=shapes, spec=lattices, seed=st.integers(0, 3), mode=st.sampled_from(["full", "replace-clouds"]))
def test_identity_gives_the_input_back_bit_for_bit(tmp_path: Path, shape: tuple[int, int], spec: TileSpec, seed: int, mode: str) -> None:
    world = make_world(tmp_path, shape=shape, seed=seed)
    out = world.run(Identity(spec), mode=mode)
    np.testing.assert_array_equal(out["scene"], world.dn)


@worlds
@given(shape=shapes, spec=lattices, seed=st.integers(0, 3))
def test_tiled_equals_whole_for_a_local_reconstructor(tmp_path: Path, shape: tuple[int, int], spec: TileSpec, seed: int) -> None:
    world = make_world(tmp_path, shape=shape, seed=seed)
    tiled = world.run(Box(TileSpec(size_px=spec.size_px + 6, overlap_px=spec.overlap_px, halo_px=spec.halo_px + 3)), mode="full")
    whole = world.run(Box(TileSpec(size_px=200)), mode="full")
    for name in tiled:
        np.testing.assert_array_equal(tiled[name], whole[name])


@dataclass(frozen=True)
class Disagreeing(Identity):
    """Another number for each tile: only the weights decide what stands where tiles meet."""

    def __call__(self, tile: TileInput) -> Reconstruction:
        value = level_of(tile.window.row, tile.window.col)
        return Reconstruction(mean=np.full_like(tile.optical, value), std=np.full_like(tile.optical, value))


def level_of(row: int, col: int) -> float:
    """Neighbours differ by a tenth and more."""
    return 0.1 + (row * 37 + col * 101) % 7 / 10


def shares_of(length: int, spec: TileSpec) -> tuple[list[int], NDArray[np.float64]]:
    """Starts of windows along an axis and the weight `(window, pixel)` of each: written from the definition, not with the engine's parts."""
    if length <= spec.size_px:
        return [0], np.ones((1, length))
    starts = [*range(0, length - spec.size_px, spec.stride_px), length - spec.size_px]
    weights = np.zeros((len(starts), length))
    weights[0] = 1
    for i, start in enumerate(starts[:-1]):
        end = start + spec.size_px - spec.halo_px
        step = (np.arange(spec.overlap_px) + 0.5) / max(1, spec.overlap_px)
        rising = np.concatenate([np.zeros(end - spec.overlap_px), np.sin(np.pi / 2 * step) ** 2, np.ones(length - end)])
        weights[i] *= 1 - rising
        weights[i + 1] = rising
    return starts, weights


@worlds
@given(shape=shapes, spec=lattices, seed=st.integers(0, 3), mode=st.sampled_from(["full", "replace-clouds"]))
def test_tiles_that_disagree_are_mixed_by_squared_sines(
    tmp_path: Path, shape: tuple[int, int], spec: TileSpec, seed: int, mode: str
) -> None:
    """Also beside skipped tiles, whose place in the edge that rows of tiles share holds what an earlier row left there."""
    world = make_world(tmp_path, shape=shape, seed=seed, cover=0.02 if seed % 2 else 0.3)
    out = world.run(Disagreeing(spec), mode=mode, threads=2)
    (row_starts, row_weights), (col_starts, col_weights) = (shares_of(length, spec) for length in shape)
    levels = np.array([[level_of(row, col) for col in col_starts] for row in row_starts])
    expected = np.broadcast_to(row_weights.T @ levels @ col_weights, world.dn.shape)
    filled = np.isin(out["provenance"], (2, 3)) & (world.dn != 0)
    np.testing.assert_allclose(out["scene"][filled], expected[filled] * 1e4 + 1000, atol=0.51, rtol=0)


@worlds
@given(shape=shapes, spec=lattices, seed=st.integers(0, 3))
def test_observed_pixels_stay_and_every_pixel_is_accounted_for(tmp_path: Path, shape: tuple[int, int], spec: TileSpec, seed: int) -> None:
    world = make_world(tmp_path, shape=shape, seed=seed)
    out = world.run(Box(replace(spec, halo_px=spec.halo_px)))
    valid = (world.dn != 0).any(axis=0)
    replaced = world.mask & valid
    sar = np.arange(shape[1]) >= shape[1] // 5
    expected = np.where(valid, np.where(world.mask, np.where(sar, 2, 3), 1), 0)
    np.testing.assert_array_equal(out["provenance"][0], expected)
    np.testing.assert_array_equal(out["scene"][:, ~replaced], world.dn[:, ~replaced])
    np.testing.assert_array_equal(out["scene"] == 0, world.dn == 0)
    seen = world.dn != 0
    np.testing.assert_array_equal(out["std"], np.where(seen, np.where(replaced, 100, 0), STD_NODATA))


@worlds
@given(spec=lattices, seed=st.integers(0, 3), cuts=st.lists(st.integers(1, 80), max_size=3))
def test_threads_and_row_bands_do_not_change_a_byte(tmp_path: Path, spec: TileSpec, seed: int, cuts: list[int]) -> None:
    world = make_world(tmp_path, shape=(83, 61), seed=seed, block=16)
    once = world.run(Box(spec), threads=1)
    many = world.run(Box(spec), threads=4, cuts=tuple(cuts))
    for name in once:
        np.testing.assert_array_equal(once[name], many[name])


@pytest.mark.parametrize("batch", [2, 3, 100])
def test_batches_hold_neighbours_that_need_it_and_change_nothing(tmp_path: Path, batch: int) -> None:
    world = make_world(tmp_path, shape=(83, 61), seed=2, cover=0.05)
    spec = TileSpec(size_px=20, overlap_px=4)
    sizes: list[int] = []

    class Many(Box):
        def many(self, tiles: Sequence[TileInput]) -> list[Reconstruction]:
            sizes.append(len(tiles))
            assert len({tile.window.row for tile in tiles}) == 1
            return [self(tile) for tile in tiles]

    single = world.run(Box(spec))
    together = world.run(Many(spec), batch=batch, threads=3)
    assert 1 < max(sizes) <= batch
    for name in single:
        np.testing.assert_array_equal(single[name], together[name])


@worlds
@given(spec=lattices, seed=st.integers(0, 3), cover=st.sampled_from([0.0, 0.005, 0.05]))
def test_skipping_clear_tiles_changes_nothing(tmp_path: Path, spec: TileSpec, seed: int, cover: float) -> None:
    world = make_world(tmp_path, shape=(83, 61), seed=seed, cover=cover)
    everything = world.run(Box(spec), mode="full")
    skipping = world.run(Box(spec))
    replaced = world.mask & (world.dn != 0).any(axis=0)
    np.testing.assert_array_equal(skipping["scene"], np.where(replaced, everything["scene"], world.dn))


def test_a_clear_tile_is_never_reconstructed_and_the_survey_foresees_it(tmp_path: Path) -> None:
    world = make_world(tmp_path, shape=(64, 64), seed=0, cover=0)
    world.mask[40, 20] = True
    spec = TileSpec(size_px=16, overlap_px=4)
    plan = plan_scene(world.tiles, spec, mode="replace-clouds", with_std=False, threads=1)
    seen: list[Window] = []

    class Spy(Identity):
        def __call__(self, tile: TileInput) -> Reconstruction:
            seen.append(tile.window)
            return super().__call__(tile)

    calls: list[bool] = []
    list(stream_rows(world.tiles, plan, Spy(spec), row_start=0, row_stop=64, on_tile=calls.append))
    assert all(window.row <= 40 < window.row_stop and window.col <= 20 < window.col_stop for window in seen)
    survey = survey_clouds(world.tiles, plan.lattice, plan.mode)
    assert survey.touched_tiles == len(seen) == sum(calls) > 0
    assert len(calls) == len(plan.lattice)
    assert survey.cloudy_px == 1
    assert survey.valid_px == np.count_nonzero((world.dn != 0).any(axis=0))
    assert survey.sar_share == pytest.approx(0.8, abs=0.15)


@worlds
@given(spec=lattices, seed=st.integers(0, 3), mode=st.sampled_from(["full", "replace-clouds"]))
def test_nothing_is_replaced_outside_the_area_of_interest(tmp_path: Path, spec: TileSpec, seed: int, mode: Any) -> None:
    world = make_world(tmp_path, shape=(83, 61), seed=seed)
    everywhere = world.run(Box(spec), mode=mode)
    area = np.zeros((83, 61), bool)
    area[20:50, 7:33] = True
    limited = replace(world, tiles=replace(world.tiles, aoi=ArrayMask(area))).run(Box(spec), mode=mode)
    np.testing.assert_array_equal(limited["scene"], np.where(area, everywhere["scene"], world.dn))
    np.testing.assert_array_equal(limited["provenance"], np.where(area, everywhere["provenance"], (world.dn != 0).any(axis=0)))


def test_flipping_the_scene_flips_the_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    dn = rng.integers(1, 10_000, (2, 70, 50)).astype(np.uint16)
    mask = rng.random((70, 50)) < 0.3

    class Mean(Box):
        def __call__(self, tile: TileInput) -> Reconstruction:
            mean = _reflected(tile.optical.astype(np.float64), (0, 7, 7)).astype(np.float32)
            return Reconstruction(mean=mean, std=np.full_like(mean, 0.01))

    def run(pixels: NDArray[np.uint16], clouds: BoolArray, name: str) -> FloatArray:
        scene = open_scene(write_raster(tmp_path / name, pixels, nodata=0, descriptions=("B02", "B03")))
        world = World(dn=pixels, mask=clouds, tiles=SceneTiles(scene=scene, mask=ArrayMask(clouds)))
        return world.run(Mean(TileSpec(size_px=24, overlap_px=4, halo_px=3)))["scene"]

    plain = run(dn, mask, "a.tif")
    np.testing.assert_array_equal(run(dn[:, ::-1].copy(), mask[::-1].copy(), "b.tif"), plain[:, ::-1])
    np.testing.assert_array_equal(run(dn[:, :, ::-1].copy(), mask[:, ::-1].copy(), "c.tif"), plain[:, :, ::-1])


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_a_value_that_is_not_finite_stops_the_run_with_its_tile(tmp_path: Path, value: float, what: str) -> None:
    world = make_world(tmp_path, shape=(40, 40), seed=1)

    class Broken(Identity):
        def __call__(self, tile: TileInput) -> Reconstruction:
            mean = tile.optical.copy()
            if tile.window.row > 0:
                mean[0] = value
            return Reconstruction(mean=mean, std=np.ones_like(mean))

    with pytest.raises(ReconstructionError, match=f"{what}.*row 1"):
        world.run(Broken(TileSpec(size_px=16)))


def test_a_wrong_shape_from_a_reconstructor_is_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path, shape=(40, 40), seed=1)

    class Narrow(Identity):
        def __call__(self, tile: TileInput) -> Reconstruction:
            return Reconstruction(mean=tile.optical[:1])

    with pytest.raises(ReconstructionError, match=r"expected \(3, .*got \(1, "):
        world.run(Narrow(TileSpec(size_px=16)))


def test_a_reconstructor_may_say_where_it_used_sar(tmp_path: Path) -> None:
    world = make_world(tmp_path, shape=(60, 60), seed=1)

    class LeftOnly(Identity):
        def __call__(self, tile: TileInput) -> Reconstruction:
            share = np.broadcast_to(np.arange(tile.window.col, tile.window.col_stop) < 30, tile.window.shape).astype(np.float32)
            return Reconstruction(mean=tile.optical, std=np.ones_like(tile.optical), sar_share=share[None])

    provenance = world.run(LeftOnly(TileSpec(size_px=16, overlap_px=4)))["provenance"][0]
    replaced = world.mask & (world.dn != 0).any(axis=0)
    np.testing.assert_array_equal(provenance[replaced], np.where(np.arange(60) < 30, 2, 3)[None].repeat(60, axis=0)[replaced])


def test_a_missing_standard_deviation_is_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path, shape=(40, 40), seed=1)

    class Forgetful(Identity):
        def __call__(self, tile: TileInput) -> Reconstruction:
            return Reconstruction(mean=tile.optical)

    with pytest.raises(ReconstructionError, match=r"standard deviation.*got None"):
        world.run(Forgetful(TileSpec(size_px=16)))


def damage(path: Path) -> None:
    """Overwrite some bytes in the middle of a file."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(data)


def test_a_damaged_block_names_the_file_and_the_rows(tmp_path: Path) -> None:
    world = make_world(tmp_path, shape=(600, 64), seed=1, block=16)
    path = Path(world.tiles.scene.optical.path)
    damage(path)
    with pytest.raises(RasterReadError, match=rf"{path.name} fails in rows \d+ to \d+"):
        world.run(Identity(TileSpec(size_px=64)))


@pytest.mark.parametrize("which", ["optical", "sar"])
def test_a_damaged_block_becomes_nodata_only_when_asked_and_is_never_silent(tmp_path: Path, which: str) -> None:
    world = make_world(tmp_path, shape=(600, 64), seed=1, block=16)
    spec = TileSpec(size_px=64)
    whole = world.run(Identity(spec))
    reader = getattr(world.tiles.scene, which)
    damage(Path(reader.path))
    scene = open_scene(world.tiles.scene.optical.path, world.tiles.scene.sar.path if world.tiles.scene.sar else None)
    tiles = replace(world.tiles, scene=replace(scene, on_error="nodata"))
    plan = plan_scene(tiles, spec, mode="replace-clouds", with_std=True, threads=1)
    said: list[str] = []
    rows = list(stream_rows(tiles, plan, Identity(spec), row_start=0, row_stop=600, on_damage=said.append))
    out = np.concatenate([part.scene for part in rows], axis=1)
    provenance = np.concatenate([part.provenance for part in rows], axis=1)
    assert said
    assert all(Path(reader.path).name in sentence for sentence in said)
    if which == "optical":
        lost = (out != whole["scene"]).any(axis=0)
        empty = (out == 0).all(axis=0) & (whole["scene"] != 0).any(axis=0)
        assert 256 <= empty.sum() <= lost.sum() < lost.size / 4  # a block at least; one that was hit late may decode to garbage
        assert (provenance[0, empty] == 0).all()
    else:
        np.testing.assert_array_equal(out, whole["scene"])
        assert ((provenance == 3) & (whole["provenance"] == 2)).any()


def test_memory_of_the_plan_does_not_grow_with_rows(tmp_path: Path) -> None:
    def plan(rows: int) -> ScenePlan:
        spec = TileSpec(size_px=256, overlap_px=64)
        return ScenePlan(
            shape=(rows, 10_980), optical_bands=("B02",) * 13, sar_bands=("VV", "VH"), dtype="uint16", tile=spec,
            mode="full", with_std=False, read_rows=256, threads=2,
        )  # fmt: skip

    assert plan(10_980).memory_bytes == plan(21_960).memory_bytes
    assert plan(10_980).memory_bytes < 1.55 * 2**30
    assert plan(10_980).fingerprint() != plan(21_960).fingerprint()
    assert sum(band.height for band in plan(10_980).bands) == 10_980
    assert isinstance(plan(100).lattice, Lattice)


def test_rows_are_read_while_tiles_above_them_are_computed(tmp_path: Path) -> None:
    """The second tile waits for the second strip of rows to be asked for, which no tile needs yet: without reading ahead it would wait in vain."""
    spec = TileSpec(size_px=64, overlap_px=0)
    world = make_world(tmp_path, shape=(300, 256), seed=0)
    second_strip = Event()

    class Telling(ArrayMask):
        def read(self, window: Window) -> BoolArray:
            if window.row > 0:
                second_strip.set()
            return super().read(window)

    class Patient(Identity):
        def __call__(self, tile: TileInput) -> Reconstruction:
            if (tile.window.row, tile.window.col) == (0, 64):
                waited.append(second_strip.wait(timeout=20))
            return super().__call__(tile)

    waited: list[bool] = []
    tiles = replace(world.tiles, mask=Telling(world.mask))
    plan = plan_scene(tiles, spec, mode="full", with_std=True, threads=1)
    assert plan.read_rows < 300
    assert sum(rows.scene.shape[1] for rows in stream_rows(tiles, plan, Patient(spec), row_start=0, row_stop=300)) == 300
    assert waited == [True]
