import pytest
import torch

from geocr.core.errors import InputError
from geocr.models.mdfcr import MDFCR, Factors

SMALL = {"optical_bands": ["B02", "B03", "B04"], "width": 4, "shared": 5, "private": 3, "blocks": 1, "halvings": 1, "tile_px": 64}


def model_and_images(rows: int = 12, cols: int = 10) -> tuple[MDFCR, torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    return MDFCR(**SMALL), torch.rand(2, 2, rows, cols), torch.rand(2, 3, rows, cols)


def test_reconstructions_use_their_own_factors_and_swaps_the_shared_ones_of_the_other() -> None:
    model, sar, optical = model_and_images()
    factors = model.disentangle(sar, optical)
    images = model.reconstruct(factors)
    swapped = model.reconstruct(factors._replace(optical_shared=factors.sar_shared, sar_shared=factors.optical_shared))
    assert torch.equal(images.optical_swapped, swapped.optical)
    assert torch.equal(images.sar_swapped, swapped.sar)
    assert torch.equal(images.optical, swapped.optical_swapped)
    assert not torch.allclose(images.optical, images.optical_swapped)
    foreign = factors._replace(sar_private=torch.zeros_like(factors.sar_private))
    assert torch.equal(model.reconstruct(foreign).optical, images.optical)
    assert not torch.allclose(model.reconstruct(foreign).sar, images.sar)


def test_factors_of_one_image_do_not_depend_on_the_other() -> None:
    model, sar, optical = model_and_images()
    factors, others = model.disentangle(sar, optical), model.disentangle(torch.rand_like(sar), optical)
    assert torch.equal(factors.optical_shared, others.optical_shared)
    assert torch.equal(factors.optical_private, others.optical_private)
    assert not torch.equal(factors.sar_shared, others.sar_shared)


def test_the_answer_carries_the_factors_that_the_methods_give() -> None:
    model, sar, optical = model_and_images()
    out = model.eval()(sar[:, None], optical[:, None])
    expected = model.disentangle(sar, optical)
    assert set(out.factors) == {*Factors._fields, "fused_shared", "cleared_private"}
    for name, field in expected._asdict().items():
        torch.testing.assert_close(out.factors[name], field)
    trained = model.train()(sar[:, None], optical[:, None]).factors
    for name, image in model.reconstruct(expected)._asdict().items():
        torch.testing.assert_close(trained[name], image)


def test_a_closed_gate_returns_the_cloudy_image_to_the_last_bit() -> None:
    model, sar, optical = model_and_images()
    last = model.replace[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, -1e4)
    out = model(sar[:, None], optical[:, None])
    assert torch.equal(out.mean, optical)
    assert float(out.attention.detach().abs().max()) == 0


def test_gradients_of_answer_and_terms_reach_every_parameter() -> None:
    model, sar, optical = model_and_images()
    terms = model.disentangling_terms(sar, optical)
    (model(sar[:, None], optical[:, None]).mean.square().mean() + terms.reconstruction + terms.swap + terms.separation).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_terms_are_the_distances_that_their_names_say() -> None:
    model, sar, clear = model_and_images()
    images = model.reconstruct(model.disentangle(sar, clear))
    terms = model.disentangling_terms(sar, clear)
    torch.testing.assert_close(terms.reconstruction, (images.optical - clear).abs().mean() + (images.sar - sar).abs().mean())
    torch.testing.assert_close(terms.swap, (images.optical_swapped - clear).abs().mean() + (images.sar_swapped - sar).abs().mean())


def test_separation_is_0_for_unrelated_and_1_for_equal_factors() -> None:
    model, sar, clear = model_and_images(16, 16)

    def separation(private: torch.Tensor) -> float:
        shared = torch.sin(torch.arange(64.0) * 2 * torch.pi * 3 / 64).reshape(1, 1, 8, 8)
        model.disentangle = lambda *_: Factors(  # type: ignore[method-assign]
            shared.expand(2, 5, -1, -1), private.expand(2, 3, -1, -1), shared.expand(2, 5, -1, -1), private.expand(2, 3, -1, -1)
        )
        return float(model.disentangling_terms(sar, clear).separation.detach())

    wave = torch.arange(64.0) * 2 * torch.pi / 64
    assert separation(torch.sin(5 * wave).reshape(1, 1, 8, 8)) == pytest.approx(0, abs=1e-6)
    assert separation(7 - 2 * torch.sin(3 * wave).reshape(1, 1, 8, 8)) == pytest.approx(2, abs=1e-5)


def test_invalid_pixels_do_not_count_and_some_must_be_valid() -> None:
    model, sar, clear = model_and_images()
    valid = torch.zeros(2, 12, 10, dtype=torch.bool)
    valid[:, 2:7, 3:] = True
    images = model.reconstruct(model.disentangle(sar, clear))
    inside = (..., slice(2, 7), slice(3, None))
    expected = (images.optical - clear)[inside].abs().mean() + (images.sar - sar)[inside].abs().mean()
    torch.testing.assert_close(model.disentangling_terms(sar, clear, valid).reconstruction, expected)
    with pytest.raises(InputError, match="at least one valid pixel"):
        model.disentangling_terms(sar, clear, torch.zeros_like(valid))


def test_odd_sizes_are_mirrored_and_compared_where_the_image_is() -> None:
    model, sar, clear = model_and_images(11, 9)
    assert tuple(model.disentangle(sar, clear).optical_shared.shape[-2:]) == (6, 5)
    assert bool(torch.isfinite(model.disentangling_terms(sar, clear).swap))


def test_the_docstring_says_plainly_whose_design_it_is() -> None:
    text = " ".join((MDFCR.__doc__ or "").split())
    assert "geocr's own design" in text
    assert "Neither the code of MDF-CR nor the text of a paper on it is public" in text
    assert MDFCR.card.paper.startswith("none (geocr's own design")


@pytest.mark.parametrize(
    ("kwargs", "message"), [({"private": 0}, "at least 1 channel"), ({"sar_bands": []}, "two modalities"), ({"halvings": -1}, "0 halvings")]
)
def test_impossible_arguments_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MDFCR(**{**SMALL, **kwargs})
