"""The networks of UnCRtainTS's code, by the names it gives to tensors: their shapes, and what they compute, in plain functions.

Written from the description of the networks; none of geocr's models takes part.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tests.importing.states import Shapes, State, conv_shapes, norm_shapes

BANDS = 13


def mbconv_shapes(name: str, width: int, *, batch: bool) -> Shapes:
    wide, inside = 2 * width, f"{name}.conv.fn"
    return {
        **norm_shapes(f"{name}.conv.norm", width, batch=batch),
        **conv_shapes(f"{inside}.0", width, wide, 1, bias=False),
        **norm_shapes(f"{inside}.1", wide, batch=batch),
        f"{inside}.3.weight": (wide, 1, 3, 3),
        **norm_shapes(f"{inside}.4", wide, batch=batch),
        f"{inside}.6.fc.0.weight": (width // 4, wide),
        f"{inside}.6.fc.2.weight": (wide, width // 4),
        **conv_shapes(f"{inside}.7", wide, width, 1, bias=False),
        **norm_shapes(f"{inside}.8", width, batch=batch),
    }


def residual_shapes(name: str, width: int, *, batch: bool) -> Shapes:
    shapes: Shapes = {}
    for number in (1, 2, 3):
        shapes |= conv_shapes(f"{name}.conv{number}.conv.0", width, width, 3)
        shapes |= norm_shapes(f"{name}.conv{number}.conv.1", width, batch=batch)
    return shapes


def attention_shapes(width: int, *, heads: int, d_model: int, d_k: int, values: bool) -> Shapes:
    shapes: Shapes = {
        "temporal_encoder.inconv.weight": (d_model, width, 1),
        "temporal_encoder.inconv.bias": (d_model,),
        "temporal_encoder.attention_heads.Q": (heads, d_k),
        "temporal_encoder.attention_heads.fc1_k.weight": (heads * d_k, d_model),
        "temporal_encoder.attention_heads.fc1_k.bias": (heads * d_k,),
        **norm_shapes("temporal_encoder.in_norm", width),
    }
    if values:
        shapes |= norm_shapes("temporal_encoder.out_norm", width)
        shapes |= {"temporal_encoder.mlp.0.weight": (width, d_model), "temporal_encoder.mlp.0.bias": (width,)}
        shapes |= norm_shapes("temporal_encoder.mlp.1", width, batch=True)
    return shapes


def uncrtaints_shapes(
    *,
    inputs: int = 15,
    width: int = 128,
    encoder: int = 1,
    decoder: int = 5,
    outputs: int = BANDS,
    residual: bool = False,
    separate: bool = False,
    attention: dict[str, int] | None = None,
    values: bool = False,
) -> Shapes:
    """`attention` holds heads, d_model and d_k for several dates."""
    block = residual_shapes if residual else mbconv_shapes
    shapes = {**conv_shapes("in_conv.conv.conv.0", inputs, width, 1), **norm_shapes("in_conv.conv.conv.1", width)}
    for number in range(encoder):
        shapes |= block(f"in_block.{number}", width, batch=False)
    if attention is not None:
        shapes |= attention_shapes(width, values=values, **attention)
    if values:
        shapes |= conv_shapes("include_v", 2 * width, width, 1)
    for number in range(decoder):
        shapes |= block(f"out_block.{number}", width, batch=True)
    if separate:
        shapes |= conv_shapes("out_conv_mean_1.conv.conv.0", width, BANDS, 1)
        return shapes | conv_shapes("out_conv_var_1.conv.conv.0", width, outputs - BANDS, 1)
    return shapes | conv_shapes("out_conv.conv.conv.0", width, outputs, 1)


def norm(state: State, name: str, x: Tensor, groups: int = 4) -> Tensor:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    if f"{name}.running_mean" in state:
        return F.batch_norm(x, state[f"{name}.running_mean"], state[f"{name}.running_var"], weight, bias)
    return F.group_norm(x, groups, weight, bias)


def mirrored(state: State, name: str, x: Tensor, **options: int) -> Tensor:
    """A convolution that mirrors one pixel at the border."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), state[f"{name}.weight"], state.get(f"{name}.bias"), **options)


def pointwise(state: State, name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def mbconv(state: State, name: str, x: Tensor) -> Tensor:
    inside = f"{name}.conv.fn"
    y = norm(state, f"{name}.conv.norm", x)
    y = F.gelu(norm(state, f"{inside}.1", pointwise(state, f"{inside}.0", y)))
    y = F.gelu(norm(state, f"{inside}.4", mirrored(state, f"{inside}.3", y, groups=y.shape[1])))
    pooled = y.mean(dim=(2, 3))
    excited = torch.sigmoid(F.gelu(pooled @ state[f"{inside}.6.fc.0.weight"].T) @ state[f"{inside}.6.fc.2.weight"].T)
    y = norm(state, f"{inside}.8", pointwise(state, f"{inside}.7", y * excited[:, :, None, None]))
    return x + y


def residual(state: State, name: str, x: Tensor) -> Tensor:
    y = x
    for number in (1, 2, 3):
        y = norm(state, f"{name}.conv{number}.conv.1", mirrored(state, f"{name}.conv{number}.conv.0", y)).relu()
    return x + y


def blocks(state: State, name: str, x: Tensor) -> Tensor:
    """All blocks of a list, of either kind."""
    number = 0
    while any(key.startswith(f"{name}.{number}.") for key in state):
        block = mbconv if f"{name}.{number}.conv.norm.weight" in state else residual
        x = block(state, f"{name}.{number}", x)
        number += 1
    return x


def encode(state: State, x: Tensor) -> Tensor:
    """`(N, C, H, W)` of stacked inputs."""
    return blocks(state, "in_block", norm(state, "in_conv.conv.conv.1", pointwise(state, "in_conv.conv.conv.0", x)).relu())


def attention(state: State, x: Tensor, days: Tensor, *, heads: int) -> tuple[Tensor, Tensor]:
    """`(T, C, h, w)` of one sample to attention `(heads, T, h, w)` and the series behind it `(pixels, T, d_model)`."""
    name = "temporal_encoder"
    dates, channels, rows, cols = x.shape
    series = x.permute(2, 3, 1, 0).reshape(-1, channels, dates)
    series = norm(state, f"{name}.in_norm", series, heads)
    series = F.conv1d(series, state[f"{name}.inconv.weight"], state[f"{name}.inconv.bias"]).transpose(1, 2)
    width = series.shape[2] // heads
    encoding = torch.zeros(dates, width)
    for place in range(width):
        angle = days / 1000 ** (2 * (place // 2) / width)
        encoding[:, place] = torch.sin(angle) if place % 2 == 0 else torch.cos(angle)
    series = series + encoding.repeat(1, heads)
    query = state[f"{name}.attention_heads.Q"]
    keys = F.linear(series, state[f"{name}.attention_heads.fc1_k.weight"], state[f"{name}.attention_heads.fc1_k.bias"])
    keys = keys.view(-1, dates, heads, query.shape[1])
    weights = ((keys * query).sum(dim=-1) / query.shape[1] ** 0.5).softmax(dim=1)
    return weights.permute(2, 1, 0).reshape(heads, dates, rows, cols), series


def values(state: State, weights: Tensor, series: Tensor) -> Tensor:
    """`(1, C, h, w)`: what the attention makes of the series."""
    name = "temporal_encoder"
    heads, dates, rows, cols = weights.shape
    shares = series.view(-1, dates, heads, series.shape[2] // heads)
    mixed = (shares * weights.reshape(heads, dates, -1).permute(2, 1, 0)[..., None]).sum(dim=1).flatten(1)
    mixed = norm(state, f"{name}.mlp.1", F.linear(mixed, state[f"{name}.mlp.0.weight"], state[f"{name}.mlp.0.bias"])).relu()
    return norm(state, f"{name}.out_norm", mixed, heads).T.reshape(1, -1, rows, cols)


def averaged(x: Tensor, weights: Tensor) -> Tensor:
    """`(T, C, H, W)` to `(1, C, H, W)`: each head weighs its share of the channels."""
    heads = weights.shape[0]
    if weights.shape[-2:] != x.shape[-2:]:
        weights = F.interpolate(weights, size=x.shape[-2:], mode="bilinear", align_corners=False)
    shares = x.view(x.shape[0], heads, -1, *x.shape[2:])
    return (shares * weights.transpose(0, 1)[:, :, None]).sum(dim=0).flatten(0, 1)[None]


def uncrtaints(state: State, x: Tensor, days: Tensor | None = None, *, heads: int = 1) -> Tensor:
    """`(T, C, H, W)` of stacked inputs of one sample to the last layer's channels, before any activation."""
    x = encode(state, x)
    if days is not None:
        weights, series = attention(state, F.adaptive_max_pool2d(x, 32), days, heads=heads)
        x = averaged(x, weights)
        if "include_v.weight" in state:
            enlarged = F.interpolate(values(state, weights, series), size=x.shape[-2:], mode="bilinear", align_corners=False)
            x = pointwise(state, "include_v", torch.cat((x, enlarged), dim=1))
    x = blocks(state, "out_block", x)
    if "out_conv.conv.conv.0.weight" in state:
        return pointwise(state, "out_conv.conv.conv.0", x)
    return torch.cat((pointwise(state, "out_conv_mean_1.conv.conv.0", x), pointwise(state, "out_conv_var_1.conv.conv.0", x)), dim=1)


def pyramid_shapes(
    *,
    inputs: int = 15,
    encoder: tuple[int, ...] = (64, 64, 64, 128),
    decoder: tuple[int, ...] = (32, 32, 64, 128),
    attention: dict[str, int] | None = None,
) -> Shapes:
    shapes = {**conv_shapes("in_conv.conv.conv.0", inputs, encoder[0], 1), **norm_shapes("in_conv.conv.conv.1", encoder[0])}
    for scale in range(len(encoder) - 1):
        name, a, b = f"down_blocks.{scale}", encoder[scale], encoder[scale + 1]
        for part, into, out, kernel in (("down", a, a, 4), ("conv1", a, b, 3), ("conv2", b, b, 3)):
            shapes |= conv_shapes(f"{name}.{part}.conv.0", into, out, kernel) | norm_shapes(f"{name}.{part}.conv.1", out)
    for place, scale in enumerate(range(len(encoder) - 1, 0, -1)):
        name, into, out, skip = f"up_blocks.{place}", decoder[scale], decoder[scale - 1], encoder[scale - 1]
        shapes |= conv_shapes(f"{name}.skip_conv.0", skip, skip, 1) | norm_shapes(f"{name}.skip_conv.1", skip, batch=True)
        shapes |= {f"{name}.up.0.weight": (into, out, 4, 4), f"{name}.up.0.bias": (out,), **norm_shapes(f"{name}.up.1", out, batch=True)}
        for part, width in (("conv1", out + skip), ("conv2", out)):
            shapes |= conv_shapes(f"{name}.{part}.conv.0", width, out, 3) | norm_shapes(f"{name}.{part}.conv.1", out, batch=True)
    if attention is not None:
        shapes |= attention_shapes(encoder[-1], values=True, **attention)
    return shapes | conv_shapes("out_conv.conv.conv.0", decoder[0], BANDS, 1)


def pyramid(state: State, x: Tensor, days: Tensor | None = None, *, heads: int = 1) -> Tensor:
    """U-TAE, or without days its sibling for one date; as `uncrtaints`."""
    maps = [norm(state, "in_conv.conv.conv.1", pointwise(state, "in_conv.conv.conv.0", x)).relu()]
    scales = len({key.split(".")[1] for key in state if key.startswith("down_blocks.")})
    for scale in range(scales):
        name = f"down_blocks.{scale}"
        y = norm(state, f"{name}.down.conv.1", mirrored(state, f"{name}.down.conv.0", maps[-1], stride=2)).relu()
        y = norm(state, f"{name}.conv1.conv.1", mirrored(state, f"{name}.conv1.conv.0", y)).relu()
        maps.append(y + norm(state, f"{name}.conv2.conv.1", mirrored(state, f"{name}.conv2.conv.0", y)))
    weights = None
    y = maps.pop()
    if days is not None:
        weights, series = attention(state, y, days, heads=heads)
        y = values(state, weights, series)
    for scale in range(scales):
        name = f"up_blocks.{scale}"
        skip = maps.pop() if weights is None else averaged(maps.pop(), weights)
        skip = norm(state, f"{name}.skip_conv.1", pointwise(state, f"{name}.skip_conv.0", skip)).relu()
        y = F.conv_transpose2d(y, state[f"{name}.up.0.weight"], state[f"{name}.up.0.bias"], stride=2, padding=1)
        y = torch.cat((norm(state, f"{name}.up.1", y).relu(), skip), dim=1)
        y = norm(state, f"{name}.conv1.conv.1", mirrored(state, f"{name}.conv1.conv.0", y)).relu()
        y = y + norm(state, f"{name}.conv2.conv.1", mirrored(state, f"{name}.conv2.conv.0", y))
    return pointwise(state, "out_conv.conv.conv.0", y)
