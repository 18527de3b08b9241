import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from geocr.core.errors import CloudMaskError, InputError, MissingDataError
from geocr.core.types import BoolArray, FloatArray
from geocr.data.datasets.scenes import Scenes
from geocr.data.datasets.sen12mscr_flat import Sen12mscrFlat
from geocr.data.datasets.sen12mscr_ts import Sen12mscrTs
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.index import IndexedPlaces, build_index, default_index, index_covers, index_filter, read_index, select_rows
from geocr.data.masker import PatchMasker
from geocr.data.measure import SCHEMA
from geocr.data.pairs import open_pairs
from geocr.data.samplers import GridSceneSampler
from tests.data_makers.scenes import make_scenes, write_s2
from tests.data_makers.sen12mscr import make_flat
from tests.data_makers.sen12mscr_ts import make_sen12mscr_ts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_scenes(tmp_path / "place")


def scenes(root: Path) -> Scenes:
    return Scenes(root, split=None, patch_px=64)


def test_rows_say_what_the_samples_are(root: Path, tmp_path: Path) -> None:
    dataset = scenes(root)
    summary = build_index(dataset, tmp_path / "index.parquet")
    assert (summary.rows, summary.measured, summary.errors) == (9, 9, 0)
    table = read_index(tmp_path / "index.parquet")
    assert table.schema.names == SCHEMA.names
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [record.id for record in dataset.samples]
    for number, row in enumerate(rows):
        sample = dataset[number]
        assert row["masked_share"] == pytest.approx(float(sample["cloud_mask"].float().mean()))
        assert row["sar_share"] == row["valid_share"] == 1.0
        assert row["clear_mean"] == pytest.approx(sample["clear"].mean(dim=(1, 2)).tolist(), rel=1e-5)
        assert row["sar_std"] == pytest.approx(sample["sar"][0].std(dim=(1, 2), correction=0).tolist(), rel=1e-4)
        assert row["cloudy_max"] == pytest.approx(float(sample["cloudy"].max()))
        grid = sample["meta"]["grid"]
        assert grid is not None
        assert (row["left"], row["top"]) == (grid.transform.c, grid.transform.f)
        assert row["right"] - row["left"] == row["top"] - row["bottom"] == 640
        digest = hashlib.sha256()
        for path in dataset.samples[number].paths:
            digest.update((root / path).read_bytes())
        assert row["checksum"] == digest.hexdigest()
        assert row["error"] is None


def test_workers_change_nothing(root: Path, tmp_path: Path) -> None:
    build_index(scenes(root), tmp_path / "one.parquet")
    build_index(scenes(root), tmp_path / "two.parquet", workers=2)
    assert pq.read_table(tmp_path / "one.parquet").equals(pq.read_table(tmp_path / "two.parquet"))


def test_a_stopped_run_goes_on_from_its_parts(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.data.index.PART_ROWS", 2)
    whole = tmp_path / "whole.parquet"
    build_index(scenes(root), whole)

    def stop_after_five(steps: int = 1, *, seen: list[int] = []) -> None:  # noqa: B006 - counts over calls
        seen.append(steps)
        if len(seen) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(scenes(root), tmp_path / "index.parquet", advance=stop_after_five)
    assert not (tmp_path / "index.parquet").exists()
    parts = tmp_path / ".index.parquet.parts"
    assert len(list(parts.iterdir())) == 2
    (parts / "cut.parquet").write_bytes(b"PAR1 cut off")
    summary = build_index(scenes(root), tmp_path / "index.parquet")
    assert summary.measured == 9 - 4
    assert not parts.exists()
    assert pq.read_table(tmp_path / "index.parquet").equals(pq.read_table(whole))


def test_a_later_run_measures_what_changed(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    build_index(scenes(root), path)
    assert build_index(scenes(root), path).measured == 0
    os.utime(root / "masks" / "S2_20230813T100559.tif")
    assert build_index(scenes(root), path).measured == 0  # the masks of scenes are no file of the record
    os.utime(root / "s2" / "S2_20230813T100559.tif", (0, 0))
    assert build_index(scenes(root), path).measured == 9
    assert build_index(scenes(root), path, checksum=False).measured == 9  # made in another way


def test_rows_of_other_settings_are_measured_again(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    build_index(Scenes(root, split=None, patch_px=64), path)
    build_index(Scenes(root, split=None, patch_px=32), path)  # some corners are those of larger patches
    assert set(read_index(path)["rows"].to_pylist()) == {32}
    build_index(Scenes(root, split=None, patch_px=32, s2_offset=0.1), path)
    brighter = np.array(read_index(path)["clear_mean"].to_pylist())
    build_index(Scenes(root, split=None, patch_px=32), path)
    assert brighter - np.array(read_index(path)["clear_mean"].to_pylist()) == pytest.approx(0.1, abs=1e-5)
    for seed in (0, 1):
        assert build_index(Synthetic(length=1, size_px=64, seed=seed, split=None), tmp_path / "synthetic.parquet").measured == 3


def test_rows_follow_a_changed_split(tmp_path: Path) -> None:
    root, lists = make_flat(tmp_path / "flat", ["a.tif", "b.tif"]), tmp_path / "split.csv"
    for codes in ((1, 2), (3, 2)):
        lists.write_text("".join(f"{code},s1,s2_cloudfree,s2_cloudy,{name}.tif\n" for code, name in zip(codes, "ab", strict=True)))
        build_index(Sen12mscrFlat(root, split=None, split_file=lists), tmp_path / "index.parquet")
    assert read_index(tmp_path / "index.parquet")["split"].to_pylist() == ["test", "val"]


def test_an_index_of_a_series_keeps_the_cover_of_all_dates(tmp_path: Path) -> None:
    root = make_sen12mscr_ts(tmp_path / "ts", [("ROIs1868", 36)], patches=(1,), side=8)
    measured = Sen12mscrTs(root, cloud_mask=_darker_with_time)
    build_index(measured, tmp_path / "index.parquet")
    covers = index_covers(tmp_path / "index.parquet")
    assert covers == {"ROIs1868_36_patch_1": pytest.approx([1 - number / 32 for number in range(30)])}
    again = Sen12mscrTs(root, cover=tmp_path / "index.parquet")
    assert again.dates(0) == measured.dates(0)
    assert again.dates(0).target == 29
    build_index(Synthetic(length=1, size_px=64, split=None), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="has none"):
        Sen12mscrTs(root, cover=tmp_path / "other.parquet")


def _darker_with_time(image: FloatArray, bands: tuple[str, ...]) -> BoolArray:
    """A share of 1 on the first of the fake's dates, 3/32 on the last."""
    assert len(bands) == 13
    return np.arange(64).reshape(8, 8) < 64 - 2 * (round(float(image[0, 0, 0]) * 10_000) - 1000)


def test_errors_are_rows_and_tried_again(tmp_path: Path) -> None:
    root = make_scenes(tmp_path / "place", masks=False)
    truncated = write_s2(root / "s2" / "S2_20230815T100559.tif", add=0.1)
    dataset = scenes(root)
    whole = truncated.read_bytes()
    truncated.write_bytes(whole[: len(whole) // 2])
    path = tmp_path / "index.parquet"
    summary = build_index(dataset, path, checksum=False)
    assert (summary.rows, summary.errors) == (18, 9)
    bad = [row for row in read_index(path).to_pylist() if row["error"]]
    assert all("RasterReadError" in row["error"] and truncated.name in row["error"] for row in bad)
    assert {row["cloudy"][0] for row in bad} == {f"s2/{truncated.name}"}
    assert select_rows(read_index(path)).num_rows == 9
    assert build_index(dataset, path, checksum=False).measured == 9
    truncated.write_bytes(whole)
    assert build_index(scenes(root), path, checksum=False).errors == 0


def test_data_sets_and_samplers_filter_on_it(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    dataset = scenes(root)
    build_index(dataset, path)
    clear = dataset.filtered(index_filter(path, max_cloud=0.0))
    cloudy = dataset.filtered(index_filter(path, min_cloud=0.5, min_valid=1.0, min_sar=1.0))
    assert (len(clear), len(cloudy)) == (6, 3)
    assert not any(clear[number]["cloud_mask"].any() for number in range(len(clear)))
    pairs = open_pairs(root)
    kept = list(GridSceneSampler(pairs, 32, keep=IndexedPlaces(path, max_cloud=0.0)))
    assert kept
    assert all(x.start >= 500640 for x, _, _ in kept)
    assert len(kept) == 5 * 4
    with pytest.raises(InputError, match="has none"):
        IndexedPlaces(path, min_cloud=0.2, max_cloud=0.8)


def test_clouds_are_found_where_a_set_has_no_mask(tmp_path: Path) -> None:
    root = make_scenes(tmp_path / "place", masks=False)
    dataset = scenes(root)
    summary = build_index(dataset, tmp_path / "index.parquet", masker=PatchMasker(method="rule"))
    assert summary.errors == 0
    row = read_index(tmp_path / "index.parquet").to_pylist()[0]
    found = PatchMasker(method="rule").measure(dataset[0]["cloudy"][0].numpy(), dataset.optical_bands)
    assert (row["cloud_share"], row["shadow_share"]) == pytest.approx((found.cloud_share, found.shadow_share))
    assert row["masked_share"] == pytest.approx(float(found.mask.mean()))
    bare = tmp_path / "bare.parquet"
    build_index(dataset, bare)
    with pytest.raises(InputError, match="make the index with --cloud-mask auto"):
        index_filter(bare, max_cloud=0.5)


def test_a_patch_masker_finds_the_cloud_and_refuses_pictures() -> None:
    from geocr.simulate.scene import simulate_scene

    scene = simulate_scene(shape=(256, 256), seed=4, cloud_cover=0.3)
    found = PatchMasker(method="s2cloudless", buffer_m=0).measure(scene.cloudy, scene.bands)
    thick = scene.cloudy[1] > 0.5
    assert found.mask[thick & scene.cloud_mask].mean() > 0.8
    assert 0.05 < found.cloud_share < 0.5
    assert not PatchMasker()(np.full((13, 32, 32), np.nan, np.float32), scene.bands).any()
    with pytest.raises(CloudMaskError, match="8-bit pictures"):
        PatchMasker()(np.full((3, 32, 32), 200, np.float32), ("B04", "B03", "B02"))
    with pytest.raises(InputError, match="masked by one of auto"):
        PatchMasker(method="scl")


def test_what_is_no_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="geocr data index ROOT"):
        read_index(tmp_path / "none.parquet")
    (tmp_path / "no.parquet").write_text("hello")
    with pytest.raises(InputError, match="is not"):
        read_index(tmp_path / "no.parquet")
    with pytest.raises(InputError, match="between 0 and 1"):
        select_rows(SCHEMA.empty_table(), max_cloud=2)
    assert default_index("a", "rice") == Path("a/geocr_index_rice.parquet")
