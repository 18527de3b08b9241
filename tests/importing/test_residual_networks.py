"""DSen2-CR (Keras), ACA-CRNet and GLF-CR under their published names, against plain functions of the same tensors."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from geocr.core.errors import CheckpointError
from geocr.importing import acacrnet, dsen2cr, glfcr
from geocr.importing.convert import import_checkpoint
from geocr.importing.keys import translate
from geocr.models import MODELS
from geocr.radiometry.normalize import Normalizer
from tests.importing.states import Shapes, State, conv_shapes, imported, learnt, meta_state, norm_shapes, random_state


def conv(state: State, name: str, x: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def images(*channels: int, side: int = 24, scale: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.rand((1, count, side, side), generator=generator) * scale for count in channels]


def write_keras(path: Path, layers: dict[str, dict[str, np.ndarray[Any, Any]]], *, whole: bool = True, nested: str | None = None) -> Path:
    """Weights as Keras 2 lays them out: with `whole`, beside the description of a model; with `nested`, within a layer of that name."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        group.attrs["layer_names"] = np.array([nested] if nested else ["input_1", *layers], dtype="S")
        if whole:
            file.attrs["model_config"] = '{"class_name": "Lambda"}'
            file.create_group("optimizer_weights").create_dataset("iterations", data=3)
        owners = {nested: dict(layers)} if nested else {"input_1": {}, **{name: {name: layers[name]} for name in layers}}
        for owner, inner in owners.items():
            place = group.create_group(owner)
            place.attrs["weight_names"] = np.array([f"{layer}/{leaf}:0" for layer in inner for leaf in inner[layer]], dtype="S")
            for layer, leaves in inner.items():
                for leaf, values in leaves.items():
                    place.create_dataset(f"{layer}/{leaf}:0", data=values)
    return path


def keras_layers(
    *, blocks: int = 2, width: int = 6, inputs: int = 15, first: int = 1, seed: int = 0
) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Convolutions of DSen2-CR, numbered as they are made; kernels are `(rows, cols, in, out)`."""
    rng = np.random.default_rng(seed)
    sizes = [(inputs, width), *[(width, width)] * (2 * blocks), (width, 13)]
    return {
        f"conv2d_{number}": {
            "kernel": rng.normal(0, 0.2, (3, 3, into, out)).astype(np.float32),
            "bias": rng.normal(0, 0.2, out).astype(np.float32),
        }
        for number, (into, out) in enumerate(sizes, start=first)
    }


def dsen2(
    layers: dict[str, dict[str, np.ndarray[Any, Any]]], cloudy: np.ndarray[Any, Any], x: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The network on `(C, H, W)` in numpy, one shift of the image after the other."""

    def convolved(x: np.ndarray[Any, Any], layer: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        rows, cols = x.shape[1:]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        taps = [np.einsum("io,ihw->ohw", layer["kernel"][i, j], padded[:, i : i + rows, j : j + cols]) for i in range(3) for j in range(3)]
        return np.sum(taps, axis=0) + layer["bias"][:, None, None]

    first, *body, last = (layer for _, layer in sorted(layers.items(), key=lambda item: int(item[0].split("_")[1])))
    x = np.maximum(convolved(x, first), 0)
    for a, b in zip(body[::2], body[1::2], strict=True):
        x = x + 0.1 * convolved(np.maximum(convolved(x, a), 0), b)
    return cloudy + convolved(x, last)


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ({"whole": True}, {}),
        ({"whole": False}, {"first": 35, "blocks": 5}),
        ({"whole": True, "nested": "model_1"}, {}),
        ({}, {"inputs": 13, "width": 4, "blocks": 1}),
    ],
)
def test_dsen2cr_is_what_numpy_computes(tmp_path: Path, layout: dict[str, Any], options: dict[str, Any]) -> None:
    layers = keras_layers(**options)
    model, report = imported("dsen2cr", write_keras(tmp_path / "model.hdf5", dict(reversed(layers.items())), **layout))
    cloudy, sar = (image.numpy()[0] for image in images(13, 2 if len(model.spec.sar_bands) else 0, scale=4))
    with torch.no_grad():
        mean = model(torch.from_numpy(sar)[None, None], torch.from_numpy(cloudy)[None, None]).mean
    np.testing.assert_allclose(mean[0].numpy(), dsen2(layers, cloudy, np.concatenate((cloudy, sar))), atol=2e-5, rtol=1e-4)
    assert report.tensors == 2 * len(layers)
    if model.spec.sar_bands:
        assert model.spec.normalizer == Normalizer(sar_clip=((-25.0, 0.0), (-32.5, 0.0)), sar_range=(0.0, 2.0), optical_scale=5.0)


def aca_shapes(blocks: int = 16, width: int = 256, bands: int = 13) -> Shapes:
    shapes = conv_shapes("net.0", bands, width, 3)
    for block in range(blocks):
        name = f"net.{block + 2}.net"
        shapes |= conv_shapes(f"{name}.conv1", width, width, 3, bias=False) | conv_shapes(f"{name}.conv2", width, width, 3, bias=False)
        if block in {blocks // 2, blocks * 3 // 4}:
            for part in ("query", "value"):
                shapes |= conv_shapes(f"{name}.att.{part}", width, width, 1)
            for part in ("linear_weight", "bias"):
                shapes |= conv_shapes(f"{name}.att.{part}.0", width, width // 4, 1) | conv_shapes(f"{name}.att.{part}.2", width // 4, 1, 1)
            shapes |= conv_shapes(f"{name}.att.linear.0", width, width, 3)
    return shapes | conv_shapes(f"net.{blocks + 2}", width, bands, 3)


def aca_attention(state: State, name: str, x: Tensor) -> Tensor:
    """Every place by itself: what it resembles, beyond a threshold of its own, is what it draws from."""
    query, value = conv(state, f"{name}.query", x)[0].flatten(1), conv(state, f"{name}.value", x)[0].flatten(1)
    whole = query.view(1, -1, *x.shape[2:])
    threshold, offset = (
        conv(state, f"{name}.{part}.2", F.leaky_relu(conv(state, f"{name}.{part}.0", whole), 0.2)).flatten()
        for part in ("linear_weight", "bias")
    )
    drawn = torch.zeros_like(query)
    for place in range(query.shape[1]):
        likeness = torch.stack(
            [(query[:, place] * query[:, other]).sum() / query[:, other].norm().clamp(min=1e-4) for other in range(query.shape[1])]
        )
        passed = (likeness - likeness.mean() * threshold[place] + offset[place]).clamp(min=0)
        weight = (likeness * passed).softmax(dim=0) * (passed != 0)
        drawn[:, place] = (value * weight.clamp(min=1e-8)).sum(dim=1)
    return x + F.leaky_relu(conv(state, f"{name}.linear.0", drawn.view(1, -1, *x.shape[2:])), 0.2)


def aca(state: State, image: Tensor, blocks: int) -> Tensor:
    x = conv(state, "net.0", image).relu()
    for block in range(blocks):
        name = f"net.{block + 2}.net"
        if f"{name}.att.query.weight" in state:
            y = F.conv2d(x, state[f"{name}.conv1.weight"], stride=2, padding=1).relu()
            y = aca_attention(state, f"{name}.att", conv(state, f"{name}.conv2", y).relu())
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
        else:
            y = conv(state, f"{name}.conv2", conv(state, f"{name}.conv1", x).relu())
        x = x + 0.1 * y
    return image + conv(state, f"net.{blocks + 2}", x)


@pytest.mark.parametrize("wrapped", [False, True])
@torch.no_grad()
def test_acacrnet_is_what_plain_functions_compute(tmp_path: Path, wrapped: bool) -> None:
    state = random_state(aca_shapes(blocks=4, width=8))
    torch.save(
        {name.replace("net.", "net.module.", 1) if wrapped else name: tensor for name, tensor in state.items()}, tmp_path / "net.pth"
    )
    model, _ = imported("acacrnet", tmp_path / "net.pth")
    (cloudy,) = images(13, side=12)
    found = model(torch.zeros(1, 1, 0, 12, 12), cloudy[:, None]).mean
    torch.testing.assert_close(found, aca(state, cloudy, 4), atol=1e-4, rtol=1e-4)


def test_acacrnet_for_colour_pictures_is_refused(tmp_path: Path) -> None:
    torch.save(random_state(aca_shapes(blocks=4, width=8, bands=3)), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"must be those of 13 bands .* takes 3: those for RICE"):
        import_checkpoint("acacrnet", tmp_path / "net.pth", tmp_path / "out")


def glf_shapes(*, stages: int = 6, steps: int = 5, width: int = 96, growth: int = 48) -> Shapes:
    heads, window = 8, 8
    shapes = {**conv_shapes("SFENet1", 52, width, 5), **conv_shapes("SFENet2", width, width, 3)}
    shapes |= conv_shapes("SFENet1_SAR", 8, width, 5) | conv_shapes("SFENet2_SAR", width, width, 3)
    for stage in range(stages):
        for step in range(steps):
            name = f"RDBs.{stage}.convs.{step}"
            for end in ("", "_SAR"):
                shapes |= conv_shapes(f"{name}.conv{end}.0", width + step * growth, growth, 3)
                shapes |= {f"{name}.attn.qkv{end}.weight": (3 * growth, growth), f"{name}.attn.qkv{end}.bias": (3 * growth,)}
                shapes |= {f"{name}.attn.proj{end}.weight": (growth, growth), f"{name}.attn.proj{end}.bias": (growth,)}
                shapes |= norm_shapes(f"{name}.norm2{end}", growth)
                shapes |= {f"{name}.mlp{end}.fc1.weight": (2 * growth, growth), f"{name}.mlp{end}.fc1.bias": (2 * growth,)}
                shapes |= {f"{name}.mlp{end}.fc2.weight": (growth, 2 * growth), f"{name}.mlp{end}.fc2.bias": (growth,)}
            shapes |= {f"{name}.attn.relative_position_bias_table": ((2 * window - 1) ** 2, heads)}
            shapes |= conv_shapes(f"{name}.attn.attn_fuse_1x1conv", heads, heads, 1)
        for end in ("", "_SAR"):
            shapes |= conv_shapes(f"RDBs.{stage}.LFF{end}", width + steps * growth, width, 3)
        name = f"DF.{stage}.fac_warp"
        shapes |= conv_shapes(f"{name}.0.0", 2 * width, width, 3) | conv_shapes(f"{name}.3.0", width, 25 * width, 1)
        for block in (1, 2):
            shapes |= conv_shapes(f"{name}.{block}.stem.0", width, width, 3) | conv_shapes(f"{name}.{block}.stem.2", width, width, 3)
        shapes |= conv_shapes(f"sar_fuse_1x1conv.{stage}", width, width, 1) | conv_shapes(
            f"opt_distribute_1x1conv.{stage}", width, width, 1
        )
    shapes |= conv_shapes("GFF.0", stages * width, width, 1) | conv_shapes("GFF.1", width, width, 3)
    return shapes | conv_shapes("UPNet.0", width, 256, 3) | conv_shapes("UPNet.2", 64, 13, 3)


def buffers(stages: int, steps: int) -> State:
    """What the released network saves beside its weights, by the size of its images."""
    found: State = {}
    for stage in range(stages):
        for step in range(steps):
            found[f"RDBs.{stage}.convs.{step}.attn.relative_position_index"] = torch.zeros(64, 64, dtype=torch.int64)
            if step % 2:
                found[f"RDBs.{stage}.convs.{step}.attn_mask"] = torch.zeros(4, 64, 64)
    return found


def glf_attention(state: State, name: str, optical: Tensor, sar: Tensor) -> tuple[Tensor, Tensor]:
    """Of an image of a single 8 x 8 window, which has nothing to shift."""
    rows, cols = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    place = torch.stack((rows.flatten(), cols.flatten()), dim=1)
    offset = place[:, None] - place[None] + 7
    bias = state[f"{name}.relative_position_bias_table"][offset[..., 0] * 15 + offset[..., 1]].permute(2, 0, 1)

    def logits(x: Tensor, end: str) -> tuple[Tensor, Tensor]:
        tokens = F.linear(x[0].flatten(1).T, state[f"{name}.qkv{end}.weight"], state[f"{name}.qkv{end}.bias"])
        q, k, v = tokens.view(64, 3, 8, -1).permute(1, 2, 0, 3)
        return q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias, v

    def out(weights: Tensor, v: Tensor, end: str) -> Tensor:
        seen = (weights.softmax(dim=-1) @ v).transpose(0, 1).reshape(64, -1)
        return F.linear(seen, state[f"{name}.proj{end}.weight"], state[f"{name}.proj{end}.bias"]).T.reshape(1, -1, 8, 8)

    (own, v), (guide, sar_v) = logits(optical, ""), logits(sar, "_SAR")
    moved = own + torch.sigmoid(conv(state, f"{name}.attn_fuse_1x1conv", (guide - own)[None])[0]) * (guide - own)
    return out(moved, v, ""), out(guide, sar_v, "_SAR")


def glf_mlp(state: State, name: str, end: str, x: Tensor) -> Tensor:
    y = x.permute(0, 2, 3, 1)
    y = F.layer_norm(y, y.shape[-1:], state[f"{name}.norm2{end}.weight"], state[f"{name}.norm2{end}.bias"])
    y = F.gelu(F.linear(y, state[f"{name}.mlp{end}.fc1.weight"], state[f"{name}.mlp{end}.fc1.bias"]))
    return x + F.linear(y, state[f"{name}.mlp{end}.fc2.weight"], state[f"{name}.mlp{end}.fc2.bias"]).permute(0, 3, 1, 2)


def glf(state: State, optical: Tensor, sar: Tensor, stages: int, steps: int) -> Tensor:
    cloudy = optical
    first = conv(state, "SFENet1", F.pixel_unshuffle(optical, 2))
    optical, sar = conv(state, "SFENet2", first), conv(state, "SFENet2_SAR", conv(state, "SFENet1_SAR", F.pixel_unshuffle(sar, 2)))
    kept = []
    for stage in range(stages):
        dense, sar_dense = optical, sar
        for step in range(steps):
            name = f"RDBs.{stage}.convs.{step}"
            new, sar_new = conv(state, f"{name}.conv.0", dense).relu(), conv(state, f"{name}.conv_SAR.0", sar_dense).relu()
            seen, sar_seen = glf_attention(state, f"{name}.attn", new, sar_new)
            new, sar_new = glf_mlp(state, name, "", new + seen), glf_mlp(state, name, "_SAR", sar_new + sar_seen)
            dense, sar_dense = torch.cat((dense, new), dim=1), torch.cat((sar_dense, sar_new), dim=1)
        optical, sar = optical + conv(state, f"RDBs.{stage}.LFF", dense), sar + conv(state, f"RDBs.{stage}.LFF_SAR", sar_dense)
        name = f"DF.{stage}.fac_warp"
        kernels = F.leaky_relu(conv(state, f"{name}.0.0", torch.cat((optical, sar), dim=1)), 0.1)
        for block in (1, 2):
            inside = F.leaky_relu(conv(state, f"{name}.{block}.stem.0", kernels), 0.1)
            kernels = kernels + conv(state, f"{name}.{block}.stem.2", inside)
        kernels = F.leaky_relu(conv(state, f"{name}.3.0", kernels), 0.1)
        patches = F.unfold(F.pad(sar, (2, 2, 2, 2), mode="replicate"), 5).view(1, sar.shape[1], 25, 8, 8)
        filtered = (patches * kernels.view(1, sar.shape[1], 25, 8, 8)).sum(dim=2)
        optical = optical + (filtered - optical) * torch.sigmoid(conv(state, f"sar_fuse_1x1conv.{stage}", filtered - optical))
        sar = sar + (optical - filtered) * torch.sigmoid(conv(state, f"opt_distribute_1x1conv.{stage}", optical - filtered))
        kept.append(optical)
    merged = conv(state, "GFF.1", conv(state, "GFF.0", torch.cat(kept, dim=1))) + first
    return cloudy + conv(state, "UPNet.2", F.pixel_shuffle(conv(state, "UPNet.0", merged), 2))


@pytest.mark.parametrize("prefix", ["", "module."])
@torch.no_grad()
def test_glfcr_is_what_plain_functions_compute(tmp_path: Path, prefix: str) -> None:
    state = {name: tensor * 0.3 for name, tensor in random_state(glf_shapes(stages=2, steps=2, width=6, growth=8)).items()}
    torch.save({"network": {prefix + name: tensor for name, tensor in (state | buffers(2, 2)).items()}}, tmp_path / "CR_net.pth")
    model, report = imported("glfcr", tmp_path / "CR_net.pth")
    assert report.kwargs == {"stages": 2, "steps": 2, "width": 6, "growth": 8}
    assert set(report.dropped) == set(buffers(2, 2))
    cloudy, sar = images(13, 2, side=16)
    found = model(sar[:, None], cloudy[:, None]).mean
    assert (found - cloudy).abs().mean() > 0.01
    torch.testing.assert_close(found, glf(state, cloudy, sar, 2, 2), atol=1e-5, rtol=1e-4)


def keras_shapes(blocks: int) -> Shapes:
    sizes = [(15, 256), *[(256, 256)] * (2 * blocks), (256, 13)]
    shapes: Shapes = {}
    for number, (into, out) in enumerate(sizes):
        shapes |= conv_shapes(f"conv2d.{number}", into, out, 3)
    return shapes


@pytest.mark.parametrize(
    ("model", "shapes", "table", "count"),
    [
        ("dsen2cr", keras_shapes(16), dsen2cr._table(16), 18_947_341),
        ("glfcr", glf_shapes(), glfcr._TABLE, 14_827_373),
        ("acacrnet", aca_shapes(), acacrnet._table(16), 20_443_921),
    ],
)
def test_networks_of_published_size_fit_the_defaults_tensor_by_tensor(model: str, shapes: Shapes, table: Any, count: int) -> None:
    assert learnt(shapes) == count
    with torch.device("meta"):
        expected = MODELS.load(model)().state_dict()
    found = translate(meta_state(shapes), expected, table, source="a file")
    assert found.weights.keys() == expected.keys()
    assert not found.filled
