"""What a Sentinel-1 raster's name, band names and tags tell: product, time, radiometry, units, orbit.

Names understood: ESA's products (`S1A_IW_GRDH_1SDV_20180716T004042_..._022812_02792A_FD5B`), ASF HyP3
(`..._RTC30_G_gpuned_FD6A`: the letters after `G_` are gamma0 or sigma0, power, amplitude or decibel, and so on), OPERA
(`OPERA_L2_RTC-S1_...`), and words such as `gamma0`, `Sigma0_VV_db`, `ascending`.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from geocr.io.facts import OrbitDirection, SarFacts
from geocr.io.times import acquisition_time
from geocr.radiometry.sar import SarRadiometry, SarUnits

_RADIOMETRY = {
    "sigma0": re.compile(r"(?<![a-z])sigma[-_ ]?(?:0|nought|naught|zero)(?![0-9])"),
    "gamma0": re.compile(r"(?<![a-z])gamma[-_ ]?(?:0|nought|naught|zero)(?![0-9])|(?<![a-z])(?:rtc|nrb)(?![a-z])"),
}
_HYP3 = re.compile(r"_rtc\d\d_[a-z]_([gs])([pad])[um][nf][ec][dpt]")
_HYP3_UNITS: dict[str, SarUnits] = {"p": "power", "a": "amplitude", "d": "db"}
_AMPLITUDE = re.compile(r"(?<![a-z])amplitude(?![a-z])")
_PRODUCT = re.compile(
    r"S1[A-D]_(?:IW|EW|SM|S[1-6]|WV)_[A-Z]{3}[A-Z_]_[12][SA][SD][HV]_\d{8}T\d{6}_\d{8}T\d{6}_(\d{6})_[0-9A-F]{6}_[0-9A-F]{4}"
)
_ORBIT_WORDS: dict[OrbitDirection, re.Pattern[str]] = {
    "ascending": re.compile(r"(?<![a-z])asc(?:ending)?(?![a-z])"),
    "descending": re.compile(r"(?<![a-z])(?:desc(?:ending)?|dsc)(?![a-z])"),
}
_ORBIT_TAGS = ("sat:orbit_state", "ORBIT_DIRECTION", "ORBIT_PASS", "orbitProperties_pass", "FLIGHT_DIRECTION", "PASS")
_RELATIVE_ORBIT_TAGS = ("sat:relative_orbit", "RELATIVE_ORBIT", "relativeOrbitNumber_start", "TRACK")
_RADIOMETRY_TAGS = ("RADIOMETRY", "CALIBRATION", "radiometry", "calibration", "BACKSCATTER", "card4l:measurement_type")
_FIRST_ORBIT = {"S1A": 73, "S1B": 27}
"""Absolute orbit from which the 175 relative orbits are counted (ESA, Sentinel-1 product definition)."""


def facts_of_names(path: str, descriptions: Iterable[str | None] = (), tags: Mapping[str, str] | None = None) -> SarFacts:
    """What name, band descriptions and tags of a raster tell.

    Args:
        path: Only its last part is read.
        descriptions: Names of its bands.
        tags: Its tags.
    """
    tags = tags or {}
    name = Path(path).name
    product = _PRODUCT.search(name)
    bands = [text for text in descriptions if text]
    return SarFacts(
        product=product.group(0) if product else None,
        acquired=acquisition_time(path, tags),
        radiometry=radiometry_in([*(tags[key] for key in _RADIOMETRY_TAGS if key in tags), *bands, name]),
        orbit=orbit_in([*(tags[key] for key in _ORBIT_TAGS if key in tags), name]),
        relative_orbit=_relative_orbit(tags, product),
    )


def radiometry_in(texts: Iterable[str]) -> SarRadiometry | None:
    """`sigma0` or `gamma0` by the first text that names one of them and not both; RTC and NRB products are gamma0."""
    for text in texts:
        lower = text.lower()
        hyp3 = _HYP3.search(lower)
        if hyp3:
            return "gamma0" if hyp3.group(1) == "g" else "sigma0"
        explicit = [kind for kind, pattern in _RADIOMETRY.items() if pattern.search(lower)]
        if explicit == ["sigma0"]:
            return "sigma0"
        if explicit == ["gamma0"]:
            return "gamma0"
    return None


def units_in(texts: Iterable[str]) -> SarUnits | None:
    """Units by the first text that tells them: a HyP3 product's name, or the word `amplitude`, as SNAP names its bands."""
    for text in texts:
        lower = text.lower()
        hyp3 = _HYP3.search(lower)
        if hyp3:
            return _HYP3_UNITS[hyp3.group(2)]
        if _AMPLITUDE.search(lower):
            return "amplitude"
    return None


def orbit_in(texts: Iterable[str]) -> OrbitDirection | None:
    """Direction of flight by the first text that names one of both."""
    for text in texts:
        lower = text.lower()
        found: list[OrbitDirection] = [direction for direction, pattern in _ORBIT_WORDS.items() if pattern.search(lower)]
        if len(found) == 1:
            return found[0]
    return None


def _relative_orbit(tags: Mapping[str, str], product: re.Match[str] | None) -> int | None:
    for key in _RELATIVE_ORBIT_TAGS:
        if str(tags.get(key, "")).isdigit():
            return int(tags[key])
    if product is None or product.group(0)[:3] not in _FIRST_ORBIT:
        return None
    return (int(product.group(1)) - _FIRST_ORBIT[product.group(0)[:3]]) % 175 + 1
