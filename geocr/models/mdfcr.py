"""Disentangled representation: what SAR and optical share, and what each of them alone knows. geocr's own design."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput, mirror_to
from geocr.models.card import ModelCard
from geocr.models.layers.initial_weights import start_he_uniform
from geocr.models.layers.reach import Reach, before_conv, worst_radius_px
from geocr.models.layers.residual_body import ScaledResidual
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

LEAK = 0.1
"""Slope of the leaky ReLU for negative values."""

RESIDUAL_SCALE = 0.5
"""Factor of the residual in each block: nothing is normalised, so that stacks must stay tame by themselves."""

SHORTEST = 1e-6
"""Least length of a factor in its cosine."""


class Factors(NamedTuple):
    """What a pair of images is taken apart into, each `(B, C, h, w)` float on the grid of the padded image, halved `halvings` times."""

    optical_shared: Tensor
    """What the optical image shows of what both sensors see: where things are and how they are shaped."""
    optical_private: Tensor
    """What only the optical image shows: colour, haze, clouds and shadows."""
    sar_shared: Tensor
    """What SAR shows of what both sensors see."""
    sar_private: Tensor
    """What only SAR shows: roughness, moisture, speckle."""


class Reconstructions(NamedTuple):
    """Images put together again from factors, on the padded image."""

    optical: Tensor
    """`(B, Co, H, W)` from its own factors."""
    sar: Tensor
    """`(B, Cs, H, W)` from its own factors."""
    optical_swapped: Tensor
    """`(B, Co, H, W)` from SAR's shared factor and the optical image's private one."""
    sar_swapped: Tensor
    """`(B, Cs, H, W)` from the optical image's shared factor and SAR's private one."""


class DisentanglingTerms(NamedTuple):
    """Scalars to be weighted and added to the loss on `mean`, each at least 0 and 0 at best."""

    reconstruction: Tensor
    """L1 between both images and what their own factors give."""
    swap: Tensor
    """L1 between both images and what they give with the shared factor of the other."""
    separation: Tensor
    """Squared correlation of shared and private factors of the same image: 0 where neither tells of the other."""


class MDFCR(FusionModel):
    """Fusion by disentangled representation, in the spirit of MDF-CR (Zijue Li, https://github.com/lizijue/MDF-CR).

    **This is geocr's own design.** Neither the code of MDF-CR nor the text of a paper on it is public; all that is known
    is its idea, to split each modality into shared and private factors and to fuse them. Nothing here reproduces its
    architecture, its losses or its figures, and its name stands here only for the idea.

    Four encoders take the images apart (`Factors`). Two decoders put each image together from a shared and a private
    factor. For the prediction, a gate per channel takes the shared factor from the optical image where that is to be
    trusted and from SAR elsewhere; the optical private factor is cleared of clouds in view of what lies under them;
    the optical decoder paints the clear image, and a second gate, given as `attention`, replaces the cloudy image by it.
    No layer uses the statistics of a tile: the reach is finite, and tiled results are those of the whole image.

    `factors` of the answer holds the four factors, `fused_shared` and `cleared_private`; in training mode the four
    images of `Reconstructions` as well. Swapping means something only where the optical image shows the ground: train with
    `disentangling_terms(sar, clear)`, on the clear image.

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations, at least one.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        width: Channels at full resolution; twice as many on the grid of the factors.
        shared: Channels of a shared factor.
        private: Channels of a private factor.
        blocks: Residual blocks of each encoder, decoder and of the clearing.
        halvings: How often the grid of the factors is coarser than the image, as a power of 2.
        tile_px: Recommended side of a tile.
        normalizer: Units; None is `Normalizer.standard`.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="Disentangled representation: shared and private factors of SAR and optical, swapped and fused",
        paper="none (geocr's own design; idea of MDF-CR, of which neither code nor paper text is public)",
        url="https://github.com/lizijue/MDF-CR",
        original_licence="no code published",
        small=(
            {
                "optical_bands": ["B02", "B03", "B04"],
                "width": 4,
                "shared": 5,
                "private": 3,
                "blocks": 1,
                "halvings": 1,
                "tile_px": 64,
            },
            {
                "optical_bands": ["B04", "B08"],
                "sar_bands": ["VV"],
                "level": "L2A",
                "width": 3,
                "shared": 4,
                "private": 2,
                "blocks": 1,
                "halvings": 0,
                "tile_px": 64,
            },
        ),
        counts=(({}, 4_169_120),),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        width: int = 48,
        shared: int = 64,
        private: int = 32,
        blocks: int = 3,
        halvings: int = 1,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        if min(width, shared, private, blocks) < 1 or halvings < 0:
            raise InputError(
                f"mdfcr has at least 1 channel and block and 0 halvings, got width {width}, shared {shared}, private {private}, "
                f"blocks {blocks}, halvings {halvings}"
            )
        if len(sar_bands) == 0:
            raise InputError("mdfcr takes two modalities apart and needs at least one Sentinel-1 band, got sar_bands=()")
        stride = 2**halvings
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            channel_order="optical_first",
            multi_temporal=False,
            needs_mask=False,
            has_std=False,
            size_multiple_px=stride,
            min_size_px=stride,
            tile_px=tile_px,
            overlap_px=0,
            receptive_radius_px=worst_radius_px(stride, lambda reach: _before_all(reach, blocks, halvings)),
            normalizer=Normalizer.standard(tuple(sar_bands), sar_units) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        optical, sar = len(spec.optical_in), len(spec.sar_bands)
        self.optical_shared = _encoder(optical, width, shared, blocks, halvings)
        self.optical_private = _encoder(optical, width, private, blocks, halvings)
        self.sar_shared = _encoder(sar, width, shared, blocks, halvings)
        self.sar_private = _encoder(sar, width, private, blocks, halvings)
        self.optical_decoder = _decoder(shared + private, width, optical, blocks, halvings)
        self.sar_decoder = _decoder(shared + private, width, sar, blocks, halvings)
        self.trust = nn.Conv2d(2 * shared + private, shared, 1)
        self.clear = nn.Sequential(
            nn.Conv2d(shared + private, 2 * width, 1), nn.LeakyReLU(LEAK), _blocks(2 * width, blocks), nn.Conv2d(2 * width, private, 1)
        )
        self.replace = _decoder(2 * shared + private, width, 1, 1, halvings)
        start_he_uniform(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Take apart, fuse and put together; see `FusionModel.forward`."""
        exact = given.cloudy[:, 0]
        factors = self._taken_apart(given.sar[:, 0].to(self.compute_dtype), exact.to(self.compute_dtype))
        evidence = torch.cat((factors.optical_shared, factors.sar_shared, factors.optical_private), dim=1)
        trust = torch.sigmoid(self.trust(evidence))
        fused = factors.sar_shared + trust * (factors.optical_shared - factors.sar_shared)
        cleared = factors.optical_private + cast("Tensor", self.clear(torch.cat((fused, factors.optical_private), dim=1)))
        painted = cast("Tensor", self.optical_decoder(torch.cat((fused, cleared), dim=1))).to(exact.dtype)
        share = torch.sigmoid(cast("Tensor", self.replace(evidence))).to(exact.dtype)
        found = factors._asdict() | {"fused_shared": fused, "cleared_private": cleared}
        if self.training:
            found |= self.reconstruct(factors)._asdict()
        return FusionOutput(exact + share * (painted - exact), attention=share[:, None], factors=found)

    def disentangle(self, sar: Tensor, optical: Tensor) -> Factors:
        """Take a pair of images apart.

        Args:
            sar: `(B, Cs, H, W)` float, network units.
            optical: `(B, Co, H, W)` float, network units: cloudy or clear.
        """
        size = self.spec.padded_px(optical.shape[-2]), self.spec.padded_px(optical.shape[-1])
        return self._taken_apart(mirror_to(sar, size).to(self.compute_dtype), mirror_to(optical, size).to(self.compute_dtype))

    def reconstruct(self, factors: Factors) -> Reconstructions:
        """Put both images together, from their own factors and with the shared ones swapped."""
        optical = [
            cast("Tensor", self.optical_decoder(torch.cat((shared, factors.optical_private), dim=1)))
            for shared in (factors.optical_shared, factors.sar_shared)
        ]
        sar = [
            cast("Tensor", self.sar_decoder(torch.cat((shared, factors.sar_private), dim=1)))
            for shared in (factors.sar_shared, factors.optical_shared)
        ]
        return Reconstructions(optical[0], sar[0], optical[1], sar[1])

    def disentangling_terms(self, sar: Tensor, clear: Tensor, valid: Tensor | None = None) -> DisentanglingTerms:
        """What holds the factors to their meaning, beside the loss on the prediction; our own choice of terms.

        Args:
            sar: `(B, Cs, H, W)` float, network units.
            clear: `(B, Co, H, W)` float, network units, without clouds.
            valid: `(B, H, W)` bool, True counts; None is everywhere. Factors are compared everywhere.

        Raises:
            InputError: When no pixel is valid.
        """
        rows, cols = clear.shape[-2:]
        factors = self.disentangle(sar, clear)
        images = Reconstructions(*(image[..., :rows, :cols] for image in self.reconstruct(factors)))
        weight = torch.ones_like(clear[:, :1]) if valid is None else valid[:, None].to(clear.dtype)
        if not torch.compiler.is_compiling() and float(weight.sum()) == 0:
            raise InputError("disentangling needs at least one valid pixel, got a mask that is False everywhere")
        return DisentanglingTerms(
            _distance(images.optical, clear, weight) + _distance(images.sar, sar, weight),
            _distance(images.optical_swapped, clear, weight) + _distance(images.sar_swapped, sar, weight),
            _shared_knowledge(factors.optical_shared, factors.optical_private) + _shared_knowledge(factors.sar_shared, factors.sar_private),
        )

    def _taken_apart(self, sar: Tensor, optical: Tensor) -> Factors:
        return Factors(
            cast("Tensor", self.optical_shared(optical)),
            cast("Tensor", self.optical_private(optical)),
            cast("Tensor", self.sar_shared(sar)),
            cast("Tensor", self.sar_private(sar)),
        )


def _distance(image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference over bands and the pixels that count."""
    return ((image - truth).abs().mean(dim=1, keepdim=True) * weight).sum() / weight.sum()


def _shared_knowledge(shared: Tensor, private: Tensor) -> Tensor:
    """Mean squared correlation over all pairs of a shared and a private channel, per image."""
    left, right = shared.flatten(2), private.flatten(2)
    left = F.normalize(left - left.mean(dim=-1, keepdim=True), dim=-1, eps=SHORTEST)
    right = F.normalize(right - right.mean(dim=-1, keepdim=True), dim=-1, eps=SHORTEST)
    return (left @ right.transpose(1, 2)).square().mean()


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ScaledResidual(channels, scale=RESIDUAL_SCALE, bias=True) for _ in range(count)))


def _encoder(bands: int, width: int, factor: int, blocks: int, halvings: int) -> nn.Sequential:
    """An image to a factor: 3 x 3, strided 4 x 4 per halving, residual blocks, 1 x 1."""
    layers: list[nn.Module] = [nn.Conv2d(bands, width, 3, padding=1), nn.LeakyReLU(LEAK)]
    inputs = width
    for _ in range(halvings):
        layers += [nn.Conv2d(inputs, 2 * width, 4, 2, 1), nn.LeakyReLU(LEAK)]
        inputs = 2 * width
    return nn.Sequential(*layers, _blocks(inputs, blocks), nn.Conv2d(inputs, factor, 1))


def _decoder(factor: int, width: int, bands: int, blocks: int, halvings: int) -> nn.Sequential:
    """A factor to an image: 1 x 1, residual blocks, enlarged and 3 x 3 per halving, 3 x 3."""
    inputs = width if halvings == 0 else 2 * width
    layers: list[nn.Module] = [nn.Conv2d(factor, inputs, 1), nn.LeakyReLU(LEAK), _blocks(inputs, blocks)]
    for step in reversed(range(halvings)):
        outputs = width if step == 0 else 2 * width
        layers += [nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(LEAK)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(inputs, bands, 3, padding=1))


def _before_all(reach: Reach, blocks: int, halvings: int) -> Reach:
    """Inputs that these outputs are made of, by the longest path: encoder, clearing, decoder."""
    reach = before_conv(reach, 3)
    for _ in range(halvings):
        first, last = before_conv(reach, 3)
        reach = first // 2, last // 2
    for _ in range(3 * 2 * blocks):
        reach = before_conv(reach, 3)
    for _ in range(halvings):
        reach = before_conv(reach, 4, stride=2, padding=1)
    return before_conv(reach, 3)
