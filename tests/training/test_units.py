"""The normaliser in torch is the normaliser in numpy, and a batch reaches a network by band name."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocr.core.errors import InputError, UnitsError
from geocr.data.collate import FusionBatch, collate_samples
from geocr.data.datasets.synthetic import Synthetic
from geocr.models.dsen2cr import DSen2CR
from geocr.models.pix2pix import Pix2Pix
from geocr.models.sscr import SSCR
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer
from geocr.training.network_batch import to_network
from geocr.training.units import mean_to_physical, optical_to_network, sar_to_network

CPU = torch.device("cpu")
NORMALIZERS = {
    "dsen2cr": DSen2CR(blocks=1, width=4).spec.normalizer,
    "sscr": Normalizer(optical_scale=10.0, sar_clip=((-25.0, 0.0), (-25.0, 0.0))),
    "pictures": Pix2Pix(width=3, depth=2, sar_bands=("VV", "VH")).spec.normalizer,
    "unclipped": Normalizer(optical_clip=None, sar_fill=-1.0, optical_fill=0.5),
}
VALUES = st.floats(-60, 300, width=32) | st.just(float("nan"))


@pytest.mark.parametrize("name", NORMALIZERS)
@given(image=arrays(np.float32, (2, 2, 3, 4), elements=VALUES))
def test_torch_and_numpy_agree(name: str, image: np.ndarray) -> None:
    normalizer = NORMALIZERS[name]
    sar, optical = sar_to_network(normalizer, torch.from_numpy(image)), optical_to_network(normalizer, torch.from_numpy(image))
    np.testing.assert_allclose(sar.numpy(), normalizer.sar_to_network(image), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(optical.numpy(), normalizer.optical_to_network(image), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        mean_to_physical(normalizer, optical).numpy(), normalizer.mean_to_reflectance(optical.numpy()), rtol=1e-6, atol=1e-6
    )
    assert bool(sar.isfinite().all())
    assert bool(optical.isfinite().all())


def made(**options: object) -> FusionBatch:
    data = Synthetic(".", length=2, size_px=64, **options)
    return collate_samples([data[0], data[1]])


def test_bands_reach_a_model_in_its_order() -> None:
    batch = made()
    model = FusionUNet(optical_bands=("B08", "B02"), optical_out=("B03",), gated=False, sar_bands=("VH",), widths=(4, 6))
    brought = to_network(batch, model.spec, CPU)
    names = batch["meta"][0]["optical_bands"]
    normalizer = model.spec.normalizer
    wanted = optical_to_network(normalizer, batch["cloudy"][:, :, [names.index("B08"), names.index("B02")]])
    assert torch.equal(brought.cloudy, wanted)
    assert torch.equal(brought.target, optical_to_network(normalizer, batch["clear"][:, [names.index("B03")]]))
    assert brought.cloudy_out is not None
    assert brought.cloudy_out.shape == brought.target.shape
    assert brought.sar.shape[2] == 1
    assert brought.ids == tuple(meta["id"] for meta in batch["meta"])
    assert model(brought.sar, brought.cloudy, brought.cloud_mask).mean.shape == brought.target.shape


def test_a_missing_value_never_reaches_a_model() -> None:
    batch = made()
    batch["cloudy"][:, :, :, :5] = float("nan")
    batch["clear"][:, :, 7:9] = float("nan")
    brought = to_network(batch, FusionUNet(widths=(4, 6)).spec, CPU)
    assert all(bool(image.isfinite().all()) for image in (brought.sar, brought.cloudy, brought.target))


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        ("clear", "training needs a clear image"),
        ("cloudy", "the model sees a cloudy image"),
        ("cloud_mask", "the model reads a cloud mask"),
    ],
)
def test_a_sample_without_what_the_model_needs_is_refused_with_the_cure(drop: str, said: str) -> None:
    batch = {key: value for key, value in made().items() if key != drop}
    with pytest.raises(InputError, match=said):
        to_network(batch, FusionUNet(widths=(4, 6)).spec, CPU)  # type: ignore[arg-type]


def test_units_of_another_kind_are_refused() -> None:
    with pytest.raises(UnitsError, match="made for optical display and Sentinel-1 display, samples of synthetic are reflectance and db"):
        to_network(made(), Pix2Pix(width=3, depth=2).spec, CPU)


def test_a_model_that_reads_dates_needs_them() -> None:
    batch = made()
    spec = SSCR(backbone="utae", encoder_widths=(8, 16), decoder_widths=(4, 16), heads=4, d_model=16).spec
    assert spec.needs_dates
    for meta in batch["meta"]:
        meta["days"] = (float("nan"),)
    with pytest.raises(InputError, match=r"the model reads when its images were taken, and sample .* does not tell"):
        to_network(batch, spec, CPU)
