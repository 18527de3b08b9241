from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocr.clouds.mdfcr import as_bytes, blend_as_published, crop_middle, mask_of, prepare_cloud, read_pairing, stretch_band
from geocr.core.errors import InputError, RasterNotFoundError

HEAD = """Number,Image names from 38-Cloud training dataset,,,,,,
1,patch_233_12_by_13_LC08_L1TP_002053_20160520_20170324_01_T1.TIF,,,,,,
2,patch_236_12_by_5_LC08_L1TP_032029_20160420_20170223_01_T1.TIF,,,,,,
,,,,,,,
,,,,,,,
Correlation,,,,,,,
"""
LINES = """E:\\DataSet\\Dataset_TGRS-2018-01535\\train\\sar\\837.bmp,gt_patch_233_12_by_13_LC08_L1TP_002053_20160520_20170324_01_T1.TIF,,,,,,
E:\\DataSet\\Dataset_TGRS-2018-01535\\test_simu\\sar\\52.bmp,gt_patch_236_12_by_5_LC08_L1TP_032029_20160420_20170223_01_T1.TIF,,,,,,
E:\\DataSet\\Dataset_TGRS-2018-01535\\train\\sar\\52.bmp,gt_patch_233_12_by_13_LC08_L1TP_002053_20160520_20170324_01_T1.TIF,,,,,,
"""


def test_the_pairing_is_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(HEAD + LINES)
    pairing = read_pairing(tmp_path / "pairs.csv")
    assert pairing.clouds == (
        "patch_233_12_by_13_LC08_L1TP_002053_20160520_20170324_01_T1",
        "patch_236_12_by_5_LC08_L1TP_032029_20160420_20170223_01_T1",
    )
    assert [picture for picture, _ in pairing.pictures] == ["train/sar/837.bmp", "test_simu/sar/52.bmp", "train/sar/52.bmp"]
    assert pairing.pictures[1][1] == pairing.clouds[1]
    assert pairing.output_names() == {
        "train/sar/837.bmp": "837.bmp",
        "test_simu/sar/52.bmp": "test_simu_52.bmp",
        "train/sar/52.bmp": "train_52.bmp",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "has 0 pairs"),
        (HEAD + "E:\\a\\train\\sar\\1.bmp,gt_patch_9.TIF\n", "unknown patches: .'patch_9'"),
        (HEAD + "837.bmp,gt_patch_233\n", "lies in <part>"),
        ("1,a,b\n", "line 1 of"),
    ],
)
def test_a_pairing_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairing(tmp_path / "pairs.csv")
    with pytest.raises(RasterNotFoundError, match="src2mask_name_corr"):
        read_pairing(tmp_path / "none.csv")


def test_the_recipe_by_hand() -> None:
    band = np.zeros((384, 384), np.uint16)
    band[64, 64] = 10 << 8 | 255  # the crop's first pixel: the least of it once the rest is brighter
    band[64:320, 65:320] = 20 << 8
    band[65:320, 64:320] = 20 << 8
    band[319, 319] = 60 << 8
    band[0, 0] = 255 << 8  # outside the crop: must not count in the stretch
    cloud = prepare_cloud(np.stack([band]))
    assert cloud.shape == (1, 256, 256)
    assert (cloud[0, 0, 0], cloud[0, 0, 1], cloud[0, -1, -1]) == (
        0,
        51,
        254,
    )  # 255/50 x 10 and x 50, cut off: 5.1 x 50 is a hair below 255 in floats
    clear = np.full((1, 256, 256), 101, np.uint8)
    out = blend_as_published(clear, cloud)
    assert out[0, 0, 0] == 101
    assert out[0, -1, -1] == 254
    assert out[0, 0, 1] == int((1 - 0.3) * 101 + 0.3 * 51)  # alpha = 1.5 x 51/255 = 0.3, cut off


@given(
    clear=arrays(np.uint8, (3, 5, 4)),
    cloud=arrays(np.uint8, (3, 5, 4)),
)
def test_blending_stays_between_picture_and_cloud_and_saturates_at_two_thirds(clear: np.ndarray, cloud: np.ndarray) -> None:
    out = blend_as_published(clear, cloud)
    assert (out >= np.minimum(clear, cloud).astype(int) - 1).all()
    assert (out <= np.maximum(clear, cloud)).all()
    assert (out[cloud >= 170] == cloud[cloud >= 170]).all()
    assert (out[cloud == 0] == clear[cloud == 0]).all()


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_a_stretched_band_fills_its_range(band: np.ndarray) -> None:
    out = stretch_band(band)
    if band.min() == band.max():
        assert not out.any()
    else:
        assert (out.min(), out.max()) in {(0, 255), (0, 254)}  # 254 where 255.0 is rounded down
        assert (np.diff(out.ravel()[np.argsort(band, axis=None)].astype(int)) >= 0).all()


def test_sizes_and_types_are_checked() -> None:
    with pytest.raises(InputError, match="at least 256"):
        crop_middle(np.zeros((255, 384)))
    with pytest.raises(InputError, match="uint16"):
        as_bytes(np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match="same bands and size"):
        blend_as_published(np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 5), np.uint8))
    gt = np.zeros((384, 384), np.uint8)
    gt[64, 64] = 255
    assert mask_of(gt)[0, 0]
    assert mask_of(gt).sum() == 1
