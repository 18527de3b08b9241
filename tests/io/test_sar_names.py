"""What names and tags of Sentinel-1 products tell."""

from datetime import UTC, datetime

import pytest

from geocr.io.sar_names import facts_of_names, orbit_in, radiometry_in, units_in

GRD = "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_FD5B"


def test_a_products_name_tells_time_and_relative_orbit() -> None:
    """Orbit 22812 of Sentinel-1A is (22812 - 73) mod 175 + 1 = 165, as the product's metadata say."""
    facts = facts_of_names(f"/data/{GRD}.SAFE")
    assert facts.product == GRD
    assert facts.acquired == datetime(2018, 7, 16, 0, 40, 42, tzinfo=UTC)
    assert facts.relative_orbit == 165
    assert facts.radiometry is None
    assert facts_of_names(GRD.replace("S1A", "S1B")).relative_orbit == (22812 - 27) % 175 + 1
    assert facts_of_names(GRD.replace("S1A", "S1C")).relative_orbit is None


@pytest.mark.parametrize(
    ("text", "radiometry"),
    [
        ("Sigma0_VV_db", "sigma0"),
        ("Gamma0_VH", "gamma0"),
        ("gamma-naught", "gamma0"),
        (f"{GRD}_rtc", "gamma0"),
        ("OPERA_L2_RTC-S1_T078-165486-IW2_20240101T001122Z_VV.tif", "gamma0"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A_VV.tif", "gamma0"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_sduned_FD6A_VV.tif", "sigma0"),
        (f"{GRD}.tif", None),
        ("sigma0_over_gamma0.tif", None),
        ("article.tif", None),
    ],
)
def test_radiometry_by_name(text: str, radiometry: str | None) -> None:
    assert radiometry_in([text]) == radiometry


@pytest.mark.parametrize(
    ("texts", "units"),
    [
        (["S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A_VV.tif"], "power"),
        (["S1A_IW_20180128T161201_DVP_RTC10_G_sauned_FD6A_VV.tif"], "amplitude"),
        (["S1A_IW_20180128T161201_DVP_RTC30_G_gduned_FD6A_VV.tif"], "db"),
        (["Amplitude_VV", "x.tif"], "amplitude"),
        (["VV", "s1_amplitude.tif"], "amplitude"),
        (["VV", f"{GRD}_rtc.tif"], None),
    ],
)
def test_units_by_name(texts: list[str], units: str | None) -> None:
    assert units_in(texts) == units


def test_the_first_text_that_tells_counts() -> None:
    assert radiometry_in(["", "sigma0", "gamma0"]) == "sigma0"
    assert orbit_in(["nothing", "s1_desc_20200101", "ASCENDING"]) == "descending"
    assert orbit_in(["S1B_20161121_12SYJ_ASC"]) == "ascending"
    assert orbit_in(["cascade", "description"]) is None


def test_tags_come_before_the_name() -> None:
    tags = {"ORBIT_DIRECTION": "DESCENDING", "RADIOMETRY": "sigma nought", "sat:relative_orbit": "22"}
    facts = facts_of_names("s1_gamma0_asc.tif", (), tags)
    assert (facts.orbit, facts.radiometry, facts.relative_orbit) == ("descending", "sigma0", 22)
