"""Window attention of two modalities at once, in which the attention of one guides that of the other."""

import torch
from torch import Tensor, nn

APART = -100.0
"""Added to the logit of two pixels that share a window only because the image was rolled (Liu et al., 2021, section 3.2)."""


class PairedWindowAttention(nn.Module):
    """Self-attention in windows (Swin, Liu et al., 2021, https://arxiv.org/abs/2103.14030), optical guided by SAR.

    The global fusion of GLF-CR (Xu et al., 2022): logits of the optical image move towards those
    of SAR, `a + sigmoid(conv(s - a)) (s - a)`, where the 1 x 1 convolution mixes heads. Both modalities share the
    bias of relative positions.

    Args:
        channels: Of each modality, a multiple of `heads`.
        heads: Attention heads.
        window_px: Side of a window.
        shifted: Move the windows by half their side, so that neighbours exchange.
    """

    def __init__(self, channels: int, *, heads: int, window_px: int, shifted: bool) -> None:
        super().__init__()
        self.heads = heads
        self.window_px = window_px
        self.shift_px = window_px // 2 if shifted else 0
        self.position_bias = nn.Parameter(torch.zeros((2 * window_px - 1) ** 2, heads))
        self.register_buffer("position_index", _relative_positions(window_px), persistent=False)
        self.position_index: Tensor
        self.optical_qkv = nn.Linear(channels, 3 * channels)
        self.sar_qkv = nn.Linear(channels, 3 * channels)
        self.guide = nn.Conv2d(heads, heads, 1)
        self.optical_out = nn.Linear(channels, channels)
        self.sar_out = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.position_bias, std=0.02)

    def forward(self, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
        """Attend within windows: `(B, C, H, W)` of each modality, sides multiples of `window_px`, to the same shapes."""
        rows, cols = optical.shape[-2:]
        # an image of one window has nothing to shift to: its windows stay, as in the released network
        shift = self.shift_px if min(rows, cols) > self.window_px else 0
        apart = _rolled_apart(rows, cols, self.window_px, shift, optical) if shift else None
        q, k, v = self._heads(self.optical_qkv(to_windows(_roll(optical, -shift), self.window_px)))
        sar_q, sar_k, sar_v = self._heads(self.sar_qkv(to_windows(_roll(sar, -shift), self.window_px)))
        logits, sar_logits = self._logits(q, k, apart), self._logits(sar_q, sar_k, apart)
        ahead = sar_logits - logits
        logits = logits + torch.sigmoid(self.guide(ahead)) * ahead
        seen = self.optical_out(_joined(logits.softmax(dim=-1) @ v))
        sar_seen = self.sar_out(_joined(sar_logits.softmax(dim=-1) @ sar_v))
        back = (rows, cols, self.window_px)
        return _roll(from_windows(seen, *back), shift), _roll(from_windows(sar_seen, *back), shift)

    def _heads(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(n, tokens, 3 C)` to queries, keys and values `(n, heads, tokens, C / heads)`."""
        windows, tokens, channels = qkv.shape
        split = qkv.reshape(windows, tokens, 3, self.heads, channels // 3 // self.heads).permute(2, 0, 3, 1, 4)
        return split[0], split[1], split[2]

    def _logits(self, q: Tensor, k: Tensor, apart: Tensor | None) -> Tensor:
        """`(n, heads, tokens, tokens)`, positions and the edge of a rolled image taken into account."""
        tokens = q.shape[2]
        bias = self.position_bias[self.position_index].reshape(tokens, tokens, self.heads).permute(2, 0, 1)
        logits: Tensor = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias
        if apart is None:
            return logits
        per_image = apart.shape[0]
        return (logits.reshape(-1, per_image, *logits.shape[1:]) + apart[:, None]).reshape(logits.shape)


def to_windows(image: Tensor, side: int) -> Tensor:
    """`(B, C, H, W)` to `(B * windows, side**2, C)`, windows in row order."""
    batch, channels, rows, cols = image.shape
    tiled = image.reshape(batch, channels, rows // side, side, cols // side, side)
    return tiled.permute(0, 2, 4, 3, 5, 1).reshape(-1, side * side, channels)


def from_windows(windows: Tensor, rows: int, cols: int, side: int) -> Tensor:
    """What `to_windows` gave, as the image `(B, C, rows, cols)`."""
    tiled = windows.reshape(-1, rows // side, cols // side, side, side, windows.shape[-1])
    return tiled.permute(0, 5, 1, 3, 2, 4).reshape(-1, windows.shape[-1], rows, cols)


def _joined(heads: Tensor) -> Tensor:
    """`(n, heads, tokens, C / heads)` to `(n, tokens, C)`."""
    return heads.transpose(1, 2).reshape(heads.shape[0], heads.shape[2], -1)


def _roll(image: Tensor, shift: int) -> Tensor:
    return torch.roll(image, (shift, shift), dims=(2, 3)) if shift else image


def _relative_positions(side: int) -> Tensor:
    """`(side**4,)` int64: for each pair of pixels of a window, the number of their offset, rows first."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    y, x = y.flatten(), x.flatten()
    down, right = y[:, None] - y[None] + side - 1, x[:, None] - x[None] + side - 1
    return (down * (2 * side - 1) + right).flatten()


def _rolled_apart(rows: int, cols: int, side: int, shift: int, like: Tensor) -> Tensor:
    """`(windows, tokens, tokens)`: `APART` where two pixels of a window come from opposite edges of the image, else 0."""

    def parts(length: int) -> Tensor:
        place = torch.arange(length, device=like.device)
        return (place >= length - side).to(like.dtype) + (place >= length - shift).to(like.dtype)

    label = parts(rows)[:, None] * 3 + parts(cols)[None]
    tokens = to_windows(label[None, None], side)[..., 0]
    return (tokens[:, None] != tokens[:, :, None]).to(like.dtype) * APART
