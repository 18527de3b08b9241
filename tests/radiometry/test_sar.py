"""Backscatter units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import UnitsError
from geocr.radiometry.sar import detect_units, power_to_db


def test_golden_values() -> None:
    power = np.array([1, 10, 100, 0.1, 0.01, 0.5, 2], np.float32)
    np.testing.assert_allclose(power_to_db(power), [0, 10, 20, -10, -20, -3.0103, 3.0103], atol=1e-5)


def test_no_echo_is_no_measurement() -> None:
    power = np.array([0, -0.0, -1e-3, np.nan, -np.inf], np.float32)
    assert np.isnan(power_to_db(power)).all()


@given(st.lists(st.floats(-60, 40, width=32), min_size=1))
def test_db_to_power_and_back(values: list[float]) -> None:
    db = np.array(values, np.float32)
    back = power_to_db((10 ** (db.astype(np.float64) / 10)).astype(np.float32))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, db, atol=1e-5)


@pytest.mark.parametrize(
    ("sample", "units"),
    [
        ([-12.5, 3.0], "db"),
        ([0.02, 1.4], "power"),
        ([0.0, 0.0], "power"),
        ([np.nan, -1], "db"),
        ([np.inf, 0.1], "power"),
        ([-np.inf, 0.1], "db"),
    ],
)
def test_a_negative_value_means_db(sample: list[float], units: str) -> None:
    assert detect_units(np.array(sample, np.float32), "s1.tif") == units


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32])
def test_counts_are_refused_with_the_flag_to_give(dtype: type) -> None:
    with pytest.raises(UnitsError, match=rf"s1\.tif is {np.dtype(dtype)}.*--s1-units amplitude .*power, db or display"):
        detect_units(np.array([1, 2], dtype), "s1.tif")


@pytest.mark.parametrize("sample", [[], [np.nan, np.inf]])
def test_nothing_observed_is_refused(sample: list[float]) -> None:
    with pytest.raises(UnitsError, match=r"s1\.tif shows none; give --s1-units, or --no-s1"):
        detect_units(np.array(sample, np.float32), "s1.tif")
