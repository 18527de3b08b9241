"""Reconstruction fitted on the clear pixels of the scene at hand; needs no weights."""

from geocr.scenefit.error import FitError
from geocr.scenefit.fit import fit_scene
from geocr.scenefit.model import SCENEFIT_TILE, SceneFit
from geocr.scenefit.source import FitSource

__all__ = ["SCENEFIT_TILE", "FitError", "FitSource", "SceneFit", "fit_scene"]
