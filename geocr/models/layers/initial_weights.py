"""How adversarial and residual networks start: the distributions their papers name."""

from torch import Tensor, nn

NORM_SPREAD = 0.02
"""Standard deviation of pix2pix's initial weights, and of its norms' around 1."""


def start_normal(network: nn.Module) -> None:
    """Weights from N(0, 0.02), norms from N(1, 0.02), biases 0 (Isola et al., 2017, https://arxiv.org/abs/1611.07004, appendix 6.2)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, NORM_SPREAD)
            _zero(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, NORM_SPREAD)
            _zero(layer.bias)


def start_xavier(network: nn.Module) -> None:
    """Weights by Glorot and Bengio (2010, https://proceedings.mlr.press/v9/glorot10a.html), normal, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_normal_(layer.weight)
            _zero(layer.bias)


def start_he_uniform(network: nn.Module) -> None:
    """Weights by He et al. (2015, https://arxiv.org/abs/1502.01852), uniform, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            _zero(layer.bias)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
