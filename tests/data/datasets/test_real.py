"""The readers and data sets on real samples."""

from pathlib import Path

import numpy as np
import pytest
import torch

from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import SampleError, UnitsError
from geocr.data.datasets.base import DataWarning
from geocr.data.datasets.reading import read_backscatter, read_picture, read_reflectance
from geocr.data.datasets.sen12 import Sen12
from geocr.data.datasets.sen12mscr import Sen12mscr
from geocr.data.datasets.sen12mscr_flat import Sen12mscrFlat
from geocr.data.sample import validate_sample
from tests.data_makers.pixels import read_raw

pytestmark = pytest.mark.real_data
S1 = ("VV", "VH")


def test_sen12mscr_in_its_own_layout(real_data: Path) -> None:
    root = real_data / "sen12mscr"
    with pytest.warns(DataWarning, match=r"1 without clear \(first: ROIs1868_summer_19_p30\)"):
        dataset = Sen12mscr(root, split=None)
    (record,) = dataset.samples
    assert (record.id, record.split) == ("ROIs2017_winter_112_p797", "train")
    sample = validate_sample(dataset[0])
    assert np.array_equal(sample["clear"].numpy(), read_raw(root / str(record.clear)) * np.float32(1e-4))
    assert sample["meta"]["grid"].crs.to_epsg() == 32631
    assert sample["valid_mask"].all()
    summer = Sen12mscr(root, split="val", require=("sar", "cloudy"))
    assert [r.id for r in summer.samples] == ["ROIs1868_summer_19_p30"]
    assert "clear" not in validate_sample(summer[0])


def test_flat_triplets(real_data: Path) -> None:
    dataset = Sen12mscrFlat(real_data / "sen12mscr_triplets", split=None)
    assert len(dataset) == 12
    for sample in dataset:
        validate_sample(sample)
        assert sample["sar"].shape == (1, 2, 256, 256)
        assert sample["cloudy"].shape == (1, 13, 256, 256)
        assert sample["valid_mask"].float().mean() > 0.9
        assert float(sample["clear"][L1C_BANDS.index("B10")].mean()) < 0.05  # cirrus is dark where it is clear: the bands are in order
    brightest = max(float(sample["cloudy"][0, 1].nanmean()) for sample in dataset)
    assert brightest > 0.3  # real clouds


def test_sen12_by_terrain(real_data: Path) -> None:
    root = real_data / "sen12_terrain"
    dataset = Sen12(root, split=None)
    assert len(dataset) == 60
    assert {record.id.split("/")[0] for record in dataset.samples} == {"agri", "barrenland", "grassland", "urban"}
    sample = validate_sample(dataset[0])
    assert sample["clear"].shape == (3, 256, 256)
    assert sample["meta"]["sar_unit"] == "display"
    parts = [len(Sen12(root, split=split)) for split in ("train", "val", "test")]
    assert sum(parts) == 60
    assert min(parts) == 15
    with pytest.warns(DataWarning, match="shares"):
        published = [len(Sen12(root, rule="published", split=split)) for split in ("train", "val", "test")]
    assert sum(published) == 60


def test_sen1floods11_in_degrees(real_data: Path) -> None:
    folder = real_data / "sen1floods11_spain_512"
    radar = read_backscatter(folder / "Spain_7370579_S1Hand.tif", S1, S1)
    optical = read_reflectance(folder / "Spain_7370579_S2Hand.tif", L1C_BANDS, L1C_BANDS)
    assert radar.pixels.shape == (2, 512, 512)
    assert float(np.nanmax(radar.pixels)) == pytest.approx(25.6, abs=0.1)
    assert optical.grid is not None
    assert optical.grid.crs.to_epsg() == 4326
    assert 0.01 < float(np.nanmedian(optical.pixels[3])) < 0.5


def test_terramesh_both_levels(real_data: Path) -> None:
    for path in sorted((real_data / "terramesh_224" / "S1RTC").glob("*.tif")):
        radar = read_backscatter(path, S1, S1)
        assert -25 < float(np.nanmedian(radar.pixels)) < 0
        one = read_reflectance(real_data / "terramesh_224" / "S2L1C" / path.name, L1C_BANDS, L1C_BANDS)
        two = read_reflectance(real_data / "terramesh_224" / "S2L2A" / path.name, ("B04",), L2A_BANDS)
        assert one.pixels.shape == (13, 224, 224)
        assert two.pixels.shape == (1, 224, 224)
        with pytest.raises(SampleError, match="has 12"):
            read_reflectance(real_data / "terramesh_224" / "S2L2A" / path.name, L1C_BANDS, L1C_BANDS)


def test_display_stretches_are_no_physics(real_data: Path) -> None:
    folder = real_data / "s1s2_rgb_1024"
    radar, optical = min((folder / "s1_vh").glob("*.tif")), min((folder / "s2_rgb").glob("*.tif"))
    with pytest.raises(UnitsError, match="uint8"):
        read_backscatter(radar, ("VH",), ("VH",))
    with pytest.raises(SampleError, match="8-bit"):
        read_reflectance(optical, ("B04", "B03", "B02"), ("B04", "B03", "B02"))
    assert read_picture(optical).shape == (3, 1024, 1024)


def test_raw_amplitude_is_refused(real_data: Path) -> None:
    with pytest.raises(UnitsError, match="uint16"):
        read_backscatter(real_data / "s1_grd_overview_rtpds" / "iw-vv.tiff", ("VV",), ("VV",))


def test_a_batch_of_real_triplets_is_finite_where_it_is_usable(real_data: Path) -> None:
    for sample in Sen12mscrFlat(real_data / "sen12mscr_triplets", split=None):
        usable = sample["valid_mask"]
        assert torch.isfinite(sample["clear"][:, usable]).all()
        assert torch.isfinite(sample["sar"][0][:, usable]).all()
