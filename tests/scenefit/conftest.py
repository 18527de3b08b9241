"""One fit that many tests look at."""

import pytest

from geocr.core.types import FloatArray
from geocr.scenefit import SceneFit, fit_scene
from tests.scenefit.fields import ArraySource, field_scene


@pytest.fixture(scope="session")
def fields() -> tuple[ArraySource, FloatArray]:
    return field_scene()


@pytest.fixture(scope="session")
def fitted(fields: tuple[ArraySource, FloatArray]) -> SceneFit:
    return fit_scene(fields[0], seed=3)
