import numpy as np
import pytest
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from torchvision.transforms.v2 import Compose

from geocr.core.errors import InputError, SampleError
from geocr.data.sample import FusionSample, SampleDates, SamplePaths, usable, validate_sample
from geocr.data.transforms import CentreCrop, OpticalJitter, RandomCrop, RandomTurns, SarJitter, crop, flip_columns, flip_rows, turn
from geocr.io.grid import SceneGrid


def make_sample(rows: int = 12, cols: int = 16, *, display: bool = False) -> FusionSample:
    """Every pixel carries its own map coordinates: the first band of each image is x, the second y (in units that are legal)."""
    transform = Affine(10, 0, 500000, 0, -10, 5300000)
    row, col = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
    place = torch.stack([col, row]).float() / 100 * (50 if display else 1)
    sar = place[None] if display else -1 - place[None]
    cloudy = torch.stack([place, place])[:1]
    return {
        "sar": sar.clone(),
        "cloudy": cloudy.clone(),
        "clear": place.clone(),
        "cloud_mask": (col % 3 == 0)[None],
        "valid_mask": usable(sar, cloudy, place),
        "meta": {
            "dataset": "fake",
            "id": "1",
            "roi": "a",
            "split": None,
            "grid": SceneGrid(crs=CRS.from_epsg(32633), transform=transform, shape=(rows, cols)),
            "times": SampleDates(sar=(None,), cloudy=(None,), clear=None),
            "days": (float("nan"),),
            "sar_unit": "display" if display else "db",
            "optical_unit": "display" if display else "reflectance",
            "sar_bands": ("VV", "VH"),
            "optical_bands": ("B02", "B03"),
            "paths": SamplePaths(sar=("a",), cloudy=("b",), clear="c"),
            "skipped": (),
        },
    }


def assert_geometry(sample: FusionSample) -> None:
    """All images moved together, and the grid says where each pixel came from."""
    validate_sample(sample)
    place = sample["clear"]
    assert torch.equal(sample["cloudy"][0], place)
    assert torch.equal(-1 - sample["sar"][0], -1 - (-1 - place))
    assert torch.equal(sample["cloud_mask"][0], torch.round(place[0] * 100) % 3 == 0)
    grid = sample["meta"]["grid"]
    assert grid is not None
    for row in range(0, grid.shape[0], 3):
        for col in range(0, grid.shape[1], 3):
            x, y = grid.transform * (col + 0.5, row + 0.5)
            assert float(place[0, row, col]) == pytest.approx((x - 500005) / 10 / 100, abs=1e-6)
            assert float(place[1, row, col]) == pytest.approx((5299995 - y) / 10 / 100, abs=1e-6)


@given(st.lists(st.sampled_from(["columns", "rows", "turn", "crop"]), max_size=6), st.integers(0, 99))
def test_any_chain_of_moves_keeps_images_together_and_georeferenced(moves: list[str], seed: int) -> None:
    torch.manual_seed(seed)
    sample = make_sample()
    for move in moves:
        sample = {
            "columns": flip_columns,
            "rows": flip_rows,
            "turn": lambda one: turn(one, 1),
            "crop": lambda one: RandomCrop(max(1, min(one["valid_mask"].shape) - 1))(one),
        }[move](sample)
    assert_geometry(sample)


def test_moves_undo_themselves_and_leave_the_input_alone() -> None:
    sample, untouched = make_sample(), make_sample()
    for there_and_back in (
        flip_columns(flip_columns(sample)),
        flip_rows(flip_rows(sample)),
        turn(turn(sample, 3), 1),
        turn(sample, 4),
        turn(turn(sample, -1), 1),
        turn(turn(flip_columns(flip_rows(sample)), 1), 1),
    ):
        assert torch.equal(there_and_back["clear"], sample["clear"])
        grid, old = there_and_back["meta"]["grid"], sample["meta"]["grid"]
        assert grid is not None
        assert old is not None
        assert grid.transform.almost_equals(old.transform)
    assert torch.equal(sample["clear"], untouched["clear"])
    assert sample["meta"] == untouched["meta"] or np.isnan(sample["meta"]["days"][0])


def test_random_turns_reach_all_eight_and_repeat_with_the_seed() -> None:
    sample = make_sample(8, 8)
    torch.manual_seed(0)
    seen = {tuple(RandomTurns()(sample)["clear"][:, 0, :2].flatten().tolist()) for _ in range(200)}
    assert len(seen) == 8
    torch.manual_seed(0)
    assert len({tuple(RandomTurns(turns=False)(sample)["clear"][:, 0, :2].flatten().tolist()) for _ in range(200)}) == 4
    assert all(RandomTurns()(make_sample(8, 12))["clear"].shape[1:] == (8, 12) for _ in range(20))
    chain = Compose([RandomCrop(5), RandomTurns(), SarJitter(), OpticalJitter()])
    torch.manual_seed(7)
    first = chain(sample)
    torch.manual_seed(7)
    again = chain(sample)
    assert torch.equal(first["sar"], again["sar"])
    assert torch.equal(first["clear"], again["clear"])


def test_crops_at_their_bounds() -> None:
    sample = make_sample(12, 16)
    assert torch.equal(CentreCrop(4)(sample)["clear"], sample["clear"][:, 4:8, 6:10])
    assert torch.equal(crop(sample, 8, 12, (4, 4))["clear"], sample["clear"][:, 8:, 12:])
    assert RandomCrop(12)(sample)["clear"].shape[1:] == (12, 12)
    for row, col in ((9, 0), (-1, 0), (0, 13)):
        with pytest.raises(SampleError, match="inside its sample of 12 x 16"):
            crop(sample, row, col, (4, 4))
    with pytest.raises(SampleError, match="inside its sample"):
        RandomCrop(13)(sample)
    with pytest.raises(InputError, match="at least one pixel"):
        CentreCrop(0)


@given(st.integers(0, 200))
def test_a_jitter_changes_one_modality_by_one_number(seed: int) -> None:
    torch.manual_seed(seed)
    sample = make_sample()
    radar = SarJitter(1.0)(sample)
    shift = radar["sar"] - sample["sar"]
    assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift), atol=1e-5)
    assert shift[0, 0, 0, 0] != shift[0, 1, 0, 0]
    assert torch.equal(radar["cloudy"], sample["cloudy"])
    assert torch.equal(radar["clear"], sample["clear"])
    light = OpticalJitter(0.1)(sample)
    factor = light["clear"][0, 0, 5] / sample["clear"][0, 0, 5]
    assert torch.allclose(light["clear"], sample["clear"] * factor, rtol=1e-5)
    assert torch.allclose(light["cloudy"], sample["cloudy"] * factor, rtol=1e-5)
    assert torch.equal(light["sar"], sample["sar"])
    assert torch.equal(light["cloud_mask"], sample["cloud_mask"])


def test_pictures_stay_in_their_range_and_missing_stays_missing() -> None:
    sample = make_sample(display=True)
    sample["sar"][0, 0, 0, 0] = float("nan")
    sample["valid_mask"] = usable(sample["sar"], sample["cloudy"], sample["clear"])
    for _ in range(20):
        out = validate_sample(OpticalJitter(2.0)(SarJitter(300.0)(sample)))
        assert torch.isnan(out["sar"][0, 0, 0, 0])
    for kind in (SarJitter, OpticalJitter):
        with pytest.raises(InputError, match="must not be negative"):
            kind(-1)
