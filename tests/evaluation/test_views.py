"""Views are the symmetries of the square: each undone exactly, none twice."""

import pytest
import torch

from geocr.evaluation.views import VIEWS, View

IMAGE = torch.arange(2 * 3 * 5.0).reshape(2, 3, 5)


@pytest.mark.parametrize("view", VIEWS["all"])
def test_undone_to_the_last_bit(view: View) -> None:
    assert torch.equal(view.undo(view.apply(IMAGE)), IMAGE)


def test_all_eight_differ_and_the_first_is_the_patch_itself() -> None:
    seen = {tuple(view.apply(IMAGE[0, :3, :3]).flatten().tolist()) for view in VIEWS["all"]}
    assert len(seen) == 8
    assert all(torch.equal(views[0].apply(IMAGE), IMAGE) for views in VIEWS.values())


def test_flips_are_those_of_both_axes() -> None:
    expected = [IMAGE, IMAGE.flip(-1), IMAGE.flip(-2), IMAGE.flip(-1, -2)]
    assert all(torch.equal(view.apply(IMAGE), image) for view, image in zip(VIEWS["flips"], expected, strict=True))
