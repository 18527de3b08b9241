"""Models built without memory."""

import subprocess
import sys

import pytest
import torch

from geocr.models import MODELS
from geocr.models.meta import without_memory


@pytest.mark.parametrize("name", ["fusion_unet", "pix2pix", "sscr", "uncrtaints", "utae"])
def test_it_has_the_shapes_of_the_real_model_and_draws_nothing(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with without_memory():
        hollow = MODELS.load(name)()
    assert torch.equal(torch.rand(3), expected)
    real = MODELS.load(name)()
    assert all(tensor.is_meta for tensor in hollow.state_dict().values())
    shapes = [{key: (tensor.shape, tensor.dtype) for key, tensor in model.state_dict().items()} for model in (hollow, real)]
    assert shapes[0] == shapes[1]


def test_real_weights_are_drawn_within_it_all_the_same() -> None:
    with without_memory():
        weight = torch.nn.init.normal_(torch.empty(1000, device="cpu"))
    assert weight.std() == pytest.approx(1, abs=0.1)


def test_a_process_with_a_model_does_not_import_the_compiler() -> None:
    """It takes 0.15 GB and a second."""
    script = (
        "import sys\n"
        "from geocr.models import MODELS\n"
        "from geocr.models.footprint import forward_bytes\n"
        "from geocr.models.meta import without_memory\n"
        "for name in ('fusion_unet', 'uncrtaints', 'mdfcr'):\n"
        "    with without_memory():\n"
        "        MODELS.load(name)()\n"
        "    forward_bytes(MODELS.load(name)(), 256)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
