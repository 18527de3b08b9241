"""Bands: many spellings at the door, one inside."""

import pytest

from geocr.core.bands import L1C_BANDS, L2A_BANDS, S2_BANDS, canonical_s1_band, canonical_s2_band, is_l1c, parse_s2_bands
from geocr.core.errors import BandError

STEMS = {name: name.removeprefix("B").lstrip("0") for name in L1C_BANDS}


@pytest.mark.parametrize("name", L1C_BANDS)
@pytest.mark.parametrize(
    "form", ["B{}", "b{}", "Band {}", "BAND_{}", "band{}", "S2_B{}", "S2-B{}", "S2 b{}", "B{} (560 nm)", " B{} ", "B{}_20m"]
)
def test_every_usual_spelling_of_every_band(name: str, form: str) -> None:
    assert canonical_s2_band(form.format(STEMS[name])) == name
    assert canonical_s2_band(form.format(STEMS[name].zfill(2))) == name


@pytest.mark.parametrize("name", L1C_BANDS)
def test_common_names(name: str) -> None:
    common = S2_BANDS[name].common_name
    assert canonical_s2_band(common) == canonical_s2_band(common.upper()) == name


@pytest.mark.parametrize(
    ("text", "name"), [("red", "B04"), ("Green", "B03"), ("BLUE", "B02"), ("nir", "B08"), ("swir1", "B11"), ("swir2", "B12")]
)
def test_short_names(text: str, name: str) -> None:
    assert canonical_s2_band(text) == name


@pytest.mark.parametrize(
    "text", ["", " ", "B", "B0", "B13", "B99", "B100", "B8B", "B8AA", "SCL", "AOT", "infrared", "VV", "xB02", "gray", "B2x"]
)
def test_what_names_no_band(text: str) -> None:
    assert canonical_s2_band(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("VV", "VV"),
        ("vh", "VH"),
        ("Sigma0_VV_db", "VV"),
        ("gamma0-VH", "VH"),
        ("sigma0VV", "VV"),
        ("VV (dB)", "VV"),
        ("Amplitude_VH_S1A", "VH"),
    ],
)
def test_spellings_of_a_polarisation(text: str, name: str) -> None:
    assert canonical_s1_band(text) == name


@pytest.mark.parametrize("text", ["", "HH", "HV", "VV/VH", "VVVH", "elevation", "NAVVY", "V"])
def test_what_names_no_polarisation(text: str) -> None:
    assert canonical_s1_band(text) is None


def test_a_list_is_read_in_its_order() -> None:
    assert parse_s2_bands(["nir", "B2", "b8a", "B10"]) == ("B08", "B02", "B8A", "B10")
    assert parse_s2_bands(L1C_BANDS) == L1C_BANDS


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BandError, match=r"among B01, .*, B12, got 'B14'; .*--s2-bands B02,B03"):
        parse_s2_bands(["B02", "B14"])


def test_a_band_may_stand_once_however_it_is_spelled() -> None:
    with pytest.raises(BandError, match=r"got B02 twice in B02, B03, B02"):
        parse_s2_bands(["B2", "green", "blue"])


def test_cirrus_tells_the_level() -> None:
    assert is_l1c(L1C_BANDS)
    assert not is_l1c(L2A_BANDS)
    assert len(L1C_BANDS) == 13
    assert set(L1C_BANDS) - set(L2A_BANDS) == {"B10"}
