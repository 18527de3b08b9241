"""Losses and metrics on a GPU give the values of the CPU."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from geocr.losses import LOSSES
from geocr.metrics.presets import PRESETS
from geocr.metrics.suite import build_suite
from tests.losses import cases as losses
from tests.metrics.cases import BANDS, make_batch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("name", tuple(PRESETS))
def test_a_preset(name: str) -> None:
    given = make_batch(2)
    moved = replace(given, **{field.name: getattr(given, field.name).cuda() for field in fields(given)})
    here, there = build_suite(PRESETS[name], BANDS), build_suite(PRESETS[name], BANDS).cuda()
    here.update(given)
    there.update(moved)
    found = there.compute()
    for key, value in here.compute().items():
        torch.testing.assert_close(found[key].cpu(), value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", tuple(LOSSES))
def test_a_loss(name: str, tmp_path: Path) -> None:
    given, loss = losses.make_batch(), losses.make_loss(name, tmp_path)
    moved = replace(given, **{field.name: getattr(given, field.name).cuda() for field in fields(given)})
    torch.testing.assert_close(loss.cuda()(moved).cpu(), loss.cpu()(given), rtol=1e-9, atol=1e-12)
