"""`import geocr` is cheap and registers the accessor, whichever of it and xarray is imported first."""

import subprocess
import sys

import pytest

KNOWS = "assert 'geocr' in vars(xarray.Dataset) and 'geocr' in vars(xarray.DataArray)"
WORKS = "assert callable(xarray.Dataset().geocr.cloud_mask) and callable(xarray.DataArray(0).geocr.plan)"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-W", "error::FutureWarning", "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "code",
    [
        f"import geocr, xarray; {WORKS}",
        f"import xarray, geocr; {KNOWS}",
        f"import geocr, rioxarray; import xarray; {KNOWS}",
        f"import geocr, importlib; xarray = importlib.import_module('xarray'); {KNOWS}; importlib.reload(geocr); {KNOWS}",
    ],
)
def test_either_order(code: str) -> None:
    run(code)


def test_importing_geocr_imports_nothing_heavy() -> None:
    heavy = run("import geocr, sys; print(sorted({'xarray', 'numpy', 'rasterio', 'torch', 'dask'} & set(sys.modules)))")
    assert heavy.strip() == "[]"


def test_the_finder_leaves_when_it_is_done() -> None:
    left = run(
        "import geocr, sys; before = [f for f in sys.meta_path if 'geocr' in type(f).__module__]; import xarray; "
        "print(len(before), sum('geocr' in type(f).__module__ for f in sys.meta_path), type(xarray.__spec__.loader).__module__)"
    )
    assert left.split() == ["1", "0", "_frozen_importlib_external"]


def test_an_import_of_xarray_that_fails_fails_as_without_geocr() -> None:
    done = run(
        "import geocr, sys\n"
        "sys.path.clear(); sys.path_importer_cache.clear()\n"
        "try:\n    import xarray\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    )
    assert "No module named 'xarray'" in done
