"""The offset that a processing baseline implies, where metadata gives a baseline and no offset. Never by date."""

import re

from geocr.core.errors import UnitsError

BASELINE_OFFSET = 4.0
"""Processing baseline from which products carry an offset of -1000 DN (04.00, ESA, January 2022)."""
OFFSET_DN = -1000.0
_FORM = re.compile(r"N?(\d{2})\.?(\d{2})", re.IGNORECASE)


def baseline_offset(baseline: str | None, path: str) -> float:
    """Reflectance at DN 0: -0.1 from baseline 04.00, else 0; also 0 where the baseline is unknown.

    Raises:
        UnitsError: When it is no baseline.
    """
    if baseline is None:
        return 0.0
    number = _FORM.fullmatch(baseline.strip())
    if number is None:
        raise UnitsError(
            f"a processing baseline is a number such as 04.00 or N0400; {path} is tagged {baseline!r}; give --s2-scale and --s2-offset"
        )
    return OFFSET_DN / 10_000 if float(f"{number.group(1)}.{number.group(2)}") >= BASELINE_OFFSET else 0.0
