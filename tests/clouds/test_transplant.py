import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.clouds.transplant import DonorSpectra, measure_donor, transplant_clouds
from geocr.core.errors import InputError
from geocr.simulate.scene import SimulatedScene, simulate_scene

BANDS = ("B02", "B04", "B08", "B10", "B11")


@pytest.fixture(scope="module")
def donor() -> SimulatedScene:
    return simulate_scene(shape=(96, 112), seed=3, cloud_cover=0.4, bands=BANDS)


def spectra(scene: SimulatedScene) -> DonorSpectra:
    mask = scene.cloud_mask | scene.shadow_mask
    return measure_donor(scene.cloudy.reshape(len(BANDS), -1), mask.ravel())


def test_over_its_own_ground_the_donor_comes_back(donor: SimulatedScene) -> None:
    mask = donor.cloud_mask | donor.shadow_mask
    out, placed = transplant_clouds(donor.clear, donor.cloudy, mask, spectra(donor), ground=donor.clear)
    np.testing.assert_array_equal(placed, mask)
    bright = donor.cloudy > donor.clear
    np.testing.assert_allclose(out[~bright], donor.cloudy[~bright], atol=1e-5)
    np.testing.assert_allclose(out[bright], donor.cloudy[bright], atol=2e-3)  # tops above the 99.5th percentile end at 1.5 alpha
    assert np.quantile(np.abs(out - donor.cloudy), 0.995) < 1e-5


@settings(max_examples=10)
@given(seed=st.integers(0, 5), solid=st.booleans(), with_ground=st.booleans())
def test_outside_the_mask_nothing_changes_and_inside_clouds_are_clouds(
    donor: SimulatedScene, seed: int, solid: bool, with_ground: bool
) -> None:
    target = simulate_scene(shape=(96, 112), seed=seed, cloud_cover=0.0, bands=BANDS, nodata_wedge=True).clear
    mask = donor.cloud_mask | donor.shadow_mask
    out, placed = transplant_clouds(
        target,
        donor.cloudy,
        mask,
        spectra(donor),
        ground=donor.clear if with_ground else None,
        opacity="solid" if solid else "measured",
    )
    np.testing.assert_array_equal(out[:, ~placed], target[:, ~placed])
    np.testing.assert_array_equal(placed, mask & np.isfinite(target).any(axis=0))
    np.testing.assert_array_equal(np.isfinite(out), np.isfinite(target))
    thick = placed & (donor.cloudy[0] > 0.9 * spectra(donor).top[0])
    assert thick.any()
    np.testing.assert_allclose(out[:, thick], donor.cloudy[:, thick], atol=0.12)


def test_thin_cloud_lets_the_target_through(donor: SimulatedScene) -> None:
    dark, light = np.full_like(donor.clear, 0.02), np.full_like(donor.clear, 0.3)
    known = spectra(donor)
    mask = donor.cloud_mask
    over_dark, _ = transplant_clouds(dark, donor.cloudy, mask, known, ground=donor.clear)
    over_light, _ = transplant_clouds(light, donor.cloudy, mask, known, ground=donor.clear)
    thin = mask & (donor.cloudy[0] - donor.clear[0] < 0.1) & (donor.cloudy[0] > donor.clear[0])
    assert (over_light[0, thin] - over_dark[0, thin]).mean() > 0.2
    solid, _ = transplant_clouds(dark, donor.cloudy, mask, known, opacity="solid")
    np.testing.assert_array_equal(solid[:, mask], donor.cloudy[:, mask])


def test_wrong_input_is_refused(donor: SimulatedScene) -> None:
    with pytest.raises(InputError, match="must have clouds"):
        measure_donor(donor.clear.reshape(len(BANDS), -1), np.zeros(donor.clear[0].size, bool))
    with pytest.raises(InputError, match="same bands and size"):
        transplant_clouds(donor.clear[:2], donor.cloudy, donor.cloud_mask, spectra(donor))
    with pytest.raises(InputError, match="one of measured, solid"):
        transplant_clouds(donor.clear, donor.cloudy, donor.cloud_mask, spectra(donor), opacity="thin")  # type: ignore[arg-type]
