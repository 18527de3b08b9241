from datetime import datetime

import pytest

from geocr.io.times import acquisition_of


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("S2A_MSIL1C_20230813T100559_N0509_R022_T33TWM_20230813T135901.tif", datetime(2023, 8, 13, 10, 5, 59)),  # noqa: DTZ001
        ("S1A_IW_GRDH_1SDV_20190527T171234_20190527T171259_027416.tif", datetime(2019, 5, 27, 17, 12, 34)),  # noqa: DTZ001
        ("Sentinel2_B1_-55.20_-4.39_2019_06_06.tiff", datetime(2019, 6, 6)),  # noqa: DTZ001
        ("s2_ROIs1158_1_ImgNo_3_2018-02-28_patch_7.tif", datetime(2018, 2, 28)),  # noqa: DTZ001
        ("T33TWM_20230815.tif", datetime(2023, 8, 15)),  # noqa: DTZ001
    ],
)
def test_the_first_date_of_a_name_is_the_acquisition(name: str, start: datetime) -> None:
    found = acquisition_of(f"/somewhere/20990101/{name}")
    assert found is not None
    assert found.start == start


def test_a_day_lasts_a_day_and_an_instant_a_second() -> None:
    day, instant = acquisition_of("a_20230815.tif"), acquisition_of("a_20230815T101010.tif")
    assert day is not None
    assert instant is not None
    assert (day.stop - day.start).total_seconds() == pytest.approx(86400, abs=1)
    assert (instant.stop - instant.start).total_seconds() == 1


@pytest.mark.parametrize(
    "tags",
    [
        {"TIFFTAG_DATETIME": "2023:08:13 10:05:59"},
        {"DATATAKE_1_DATATAKE_SENSING_START": "2023-08-13T10:05:59.024Z"},
        {"datetime": "2023-08-13T10:05:59Z"},
    ],
)
def test_tags_tell_where_the_name_does_not(tags: dict[str, str]) -> None:
    found = acquisition_of("scene.tif", tags)
    assert found is not None
    assert found.start == datetime(2023, 8, 13, 10, 5, 59)  # noqa: DTZ001


@pytest.mark.parametrize("name", ["scene.tif", "p30.tif", "tile_123456789.tif", "x_20231399.tif", "x_20230631.tif"])
def test_what_is_no_date_is_none(name: str) -> None:
    assert acquisition_of(name) is None
