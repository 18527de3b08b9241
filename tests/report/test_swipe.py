"""The divider's figure: frames of chips lie where the chips are."""

import re

from geocr.core.types import Window
from geocr.report.layers import Layers
from geocr.report.swipe import Mark, swipe_figure

LAYERS = Layers(shape=(30, 40), after="data:a", before=None, provenance="data:p", std=None)


def test_frames_lie_in_scene_pixels() -> None:
    marks = [Mark(window=Window(row=100, col=7, height=20, width=31), target="chip-12", label="<chip>")]
    text = swipe_figure("scene", "Scene", LAYERS, marks=marks, scene=(300, 400), chip=False)
    assert 'viewBox="0 0 400 300"' in text
    assert '<rect x="7" y="100" width="31" height="20"/>' in text
    assert re.search(r'<circle cx="22\.5" cy="110\.0"', text)
    assert ">12</text>" in text
    assert "&lt;chip&gt;" in text
    assert "<chip>" not in text
