import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.clouds.landsat import PATCH_BANDS, blend_cloud, measure_cloud
from geocr.core.bands import L1C_BANDS
from geocr.core.errors import BandError, InputError


def patch(size: int = 64, *, top: float = 0.6, ground: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """A disc of cloud over flat ground, with a bright roof outside the mask."""
    rows, cols = np.mgrid[:size, :size]
    inside = np.hypot(rows - size / 2, cols - size / 2) < size / 4
    reflectance = np.full((4, size, size), ground)
    reflectance[:, inside] = top
    reflectance[3, ~inside] = 0.3
    reflectance[:, :4, :4] = top
    return np.rint((reflectance + 0.1) / 2e-5).astype(np.uint16), inside.astype(np.uint8) * 255


def test_bright_ground_outside_the_mask_is_no_cloud() -> None:
    cloud = measure_cloud(*patch())
    assert not cloud.mask[:4, :4].any()
    assert cloud.opacity[32, 32] == pytest.approx(1)
    assert cloud.reflectance["B04"] == pytest.approx(0.6, abs=1e-4)
    assert cloud.reflectance["B10"] < 0.01 < cloud.reflectance["B12"] < cloud.reflectance["B11"] < cloud.reflectance["B8A"]


def test_all_bands_share_one_opacity_and_clear_pixels_do_not_change() -> None:
    cloud = measure_cloud(*patch())
    clear = np.random.default_rng(0).uniform(0, 0.4, (13, 64, 64)).astype(np.float32)
    clear[:, 60:] = np.nan
    out = blend_cloud(clear, L1C_BANDS, cloud)
    np.testing.assert_array_equal(out[:, ~cloud.mask], clear[:, ~cloud.mask])
    inside = cloud.mask & np.isfinite(clear[0])
    share = [
        (out[band] - clear[band])[inside] / (cloud.reflectance[name] * cloud.brightness[inside] - clear[band][inside])
        for band, name in enumerate(L1C_BANDS)
    ]
    for values in share:
        np.testing.assert_allclose(values, cloud.opacity[inside], atol=1e-3)


@given(order=st.permutations(L1C_BANDS), count=st.integers(1, 13))
def test_a_band_does_not_depend_on_its_company(order: list[str], count: int) -> None:
    cloud = measure_cloud(*patch(32))
    clear = np.random.default_rng(1).uniform(0, 0.4, (13, 32, 32)).astype(np.float32)
    whole = blend_cloud(clear, L1C_BANDS, cloud)
    some = order[:count]
    chosen = [L1C_BANDS.index(name) for name in some]
    np.testing.assert_array_equal(blend_cloud(clear[chosen], some, cloud), whole[chosen])


def test_wrong_input_is_refused() -> None:
    counts, gt = patch()
    with pytest.raises(InputError, match="none in its mask"):
        measure_cloud(counts, np.zeros_like(gt))
    with pytest.raises(InputError, match=f"bands {', '.join(PATCH_BANDS)}"):
        measure_cloud(counts[:3], gt)
    with pytest.raises(InputError, match="brighter than its ground"):
        measure_cloud(*patch(top=0.05, ground=0.3))
    cloud = measure_cloud(counts, gt)
    with pytest.raises(BandError, match="one Sentinel-2 name per band"):
        blend_cloud(np.zeros((1, 64, 64), np.float32), ("B99",), cloud)
    with pytest.raises(InputError, match="share one grid"):
        blend_cloud(np.zeros((1, 63, 64), np.float32), ("B02",), cloud)
