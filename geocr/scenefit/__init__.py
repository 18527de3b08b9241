"""Reconstruction fitted on the clear pixels of the scene at hand; needs no weights."""

from geocr.scenefit.coarse import PIECE_PX, piece_of
from geocr.scenefit.error import FitError
from geocr.scenefit.fit import fit_scene
from geocr.scenefit.model import SCENEFIT_TILE, SceneFit
from geocr.scenefit.source import FitSource

__all__ = ["PIECE_PX", "SCENEFIT_TILE", "FitError", "FitSource", "SceneFit", "fit_scene", "piece_of"]
