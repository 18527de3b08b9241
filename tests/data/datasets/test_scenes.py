from pathlib import Path

import pytest
import shapely
from torch.utils.data import DataLoader

from geocr.core.errors import InputError, MissingDataError
from geocr.data.collate import collate_samples
from geocr.data.datasets import DATASETS
from geocr.data.datasets.scenes import Scenes
from geocr.data.sample import validate_sample
from tests.data_makers.scenes import Place, make_scenes, write_s1, write_s2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_scenes(tmp_path_factory.mktemp("place"), place=Place(size=(320, 320)), masks=False)
    write_s2(folder / "s2" / "S2_20230816T101600.tif", Place(size=(320, 320), left=500800))  # another date, partly the same ground
    write_s1(folder / "s1" / "S1_20230815T053000.tif", Place(size=(320, 400), left=500800))
    return folder


def test_splits_are_apart_over_all_dates_and_samples_are_whole(root: Path) -> None:
    boxes = {}
    for split in ("train", "val", "test"):
        dataset = Scenes(root, split=split, patch_px=32, block_px=80, gap_px=8, seed=1)
        assert {record.split for record in dataset.samples} == {split}
        grids = [dataset[number]["meta"]["grid"] for number in range(0, len(dataset), 3)]
        boxes[split] = [shapely.box(*_bounds(grid)) for grid in grids if grid is not None]
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert min(a.distance(b) for a in boxes[one] for b in boxes[other]) >= 80


def _bounds(grid: object) -> tuple[float, float, float, float]:
    transform, (rows, cols) = grid.transform, grid.shape  # type: ignore[attr-defined]
    return transform.c, transform.f + rows * transform.e, transform.c + cols * transform.a, transform.f


def test_records_and_samples_tell_the_same(root: Path) -> None:
    dataset = Scenes(root, split=None, patch_px=64, max_days=5, validate=True)
    assert len({record.id for record in dataset.samples}) == len(dataset) > 20
    for number in (0, len(dataset) // 2, len(dataset) - 1):
        record, sample = dataset.samples[number], validate_sample(dataset[number])
        assert sample["meta"]["id"] == record.id == dataset.identify(number)
        assert sample["meta"]["times"]["cloudy"] == record.cloudy_dates
        assert sample["meta"]["dataset"] == "scenes"
        assert (root / record.cloudy[0]).exists()


def test_it_is_in_the_table_and_in_a_loader(root: Path) -> None:
    assert DATASETS.load("scenes") is Scenes
    dataset = Scenes(root, patch_px=32, block_px=80, gap_px=8, optical_bands=("B04", "B03"), sar_bands=("VV",))
    batch = next(iter(DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=collate_samples)))  # type: ignore[arg-type]
    assert batch["cloudy"].shape == (4, 1, 2, 32, 32)
    assert batch["sar"].shape == (4, 1, 1, 32, 32)


def test_missing_folders_are_told_with_the_layout(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(MissingDataError, match=r"found: images .*Layout wanted: .*s1,s2"):
        Scenes(tmp_path)


def test_every_split_has_patches_although_strips_at_the_edge_hold_none(tmp_path: Path) -> None:
    root = make_scenes(
        tmp_path / "place", place=Place(size=(150, 160))
    )  # beside four whole blocks, strips of 22 and 32 pixels less the gap
    for seed in range(5):
        for split in ("train", "val", "test"):
            assert len(Scenes(root, split=split, patch_px=32, block_px=64, gap_px=16, seed=seed))
    with pytest.raises(InputError, match="give 0 in which a patch of 640 fits beside the gap of 160; choose smaller blocks"):
        Scenes(root, patch_px=64, block_px=64, gap_px=16)
