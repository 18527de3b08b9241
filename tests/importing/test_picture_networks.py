"""The generators of SAR2Optical and the attention GAN under their published names, against plain functions of the same tensors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from geocr.core.errors import CheckpointError
from geocr.importing import attention_gan, sar2optical
from geocr.importing.convert import import_checkpoint
from geocr.importing.keys import translate
from geocr.models import MODELS
from tests.importing.states import Shapes, State, conv_shapes, imported, learnt, meta_state, norm_shapes, random_state

SIDE = 256


def widths(width: int, depth: int = 8) -> list[int]:
    return [width * min(2**step, 8) for step in range(depth)]


def sar2optical_shapes(width: int = 64, *, enlarged: bool = False) -> Shapes:
    """Down 1 to 8 (`enc`) and up 1, the innermost, to 8 (`dec`); all but the first are normalised."""
    wide = widths(width)
    shapes: Shapes = {"encoder.enc1.conv_block.0.weight": (wide[0], 3, 4, 4), "encoder.enc1.conv_block.0.bias": (wide[0],)}
    for step in range(1, 8):
        name = f"encoder.enc{step + 1}.conv_block"
        shapes |= {f"{name}.0.weight": (wide[step], wide[step - 1], 4, 4), **norm_shapes(f"{name}.1", wide[step], batch=True)}
    for place in range(8):
        name, step = f"decoder.dec{place + 1}.conv_block", 7 - place
        into, out = wide[step] * (1 if place == 0 else 2), wide[max(step - 1, 0)]
        shapes |= {f"{name}.0.1.weight": (out, into, 3, 3)} if enlarged else {f"{name}.0.weight": (into, out, 4, 4)}
        shapes |= norm_shapes(f"{name}.1", out, batch=True)
    return shapes | conv_shapes("head.0", wide[0], 3, 3)


def batch_norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.batch_norm(x, state[f"{name}.running_mean"], state[f"{name}.running_var"], state[f"{name}.weight"], state[f"{name}.bias"])


def translated(state: State, x: Tensor, mode: str | None) -> Tensor:
    kept = [F.leaky_relu(F.conv2d(x, state["encoder.enc1.conv_block.0.weight"], state["encoder.enc1.conv_block.0.bias"], 2, 1), 0.2)]
    for step in range(2, 9):
        name = f"encoder.enc{step}.conv_block"
        kept.append(F.leaky_relu(batch_norm(state, f"{name}.1", F.conv2d(kept[-1], state[f"{name}.0.weight"], None, 2, 1)), 0.2))
    x = kept.pop()
    for step in range(1, 9):
        name = f"decoder.dec{step}.conv_block"
        if mode is None:
            x = F.conv_transpose2d(x, state[f"{name}.0.weight"], None, 2, 1)
        else:
            corners = {} if mode == "nearest" else {"align_corners": False}
            x = F.conv2d(F.interpolate(x, scale_factor=2, mode=mode, **corners), state[f"{name}.0.1.weight"], padding=1)  # type: ignore[arg-type]
        x = batch_norm(state, f"{name}.1", x).relu()
        x = torch.cat((kept.pop(), x), dim=1) if kept else x
    return torch.tanh(F.conv2d(x, state["head.0.weight"], state["head.0.bias"], padding=1))


@pytest.mark.parametrize(("mode", "count"), [(None, 54_541_827), ("nearest", 39_230_979), ("bicubic", 39_230_979)])
@torch.no_grad()
def test_sar2optical_is_what_plain_functions_compute(tmp_path: Path, mode: str | None, count: int) -> None:
    assert learnt(sar2optical_shapes(enlarged=mode is not None)) == count
    state = random_state(sar2optical_shapes(4, enlarged=mode is not None))
    torch.save(state, tmp_path / "pix2pix_gen_180.pth")
    (tmp_path / "config.json").write_text(json.dumps({"model": {"mode": mode, "use_upsampling": True}}))
    model, _ = imported("sar2optical", tmp_path / "pix2pix_gen_180.pth", config=None if mode is None else tmp_path / "config.json")
    sar = torch.rand((1, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(2)) * 2 - 1
    found = model(sar[:, None], torch.zeros(1, 1, 0, SIDE, SIDE)).mean
    expected = translated(state, sar.expand(-1, 3, -1, -1), mode)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert model.spec.optical_out == ("B04", "B03", "B02")
    assert model.spec.normalizer.optical_scale == pytest.approx(2 / 255)


def test_how_sar2optical_enlarges_must_be_told(tmp_path: Path) -> None:
    torch.save(random_state(sar2optical_shapes(4, enlarged=True)), tmp_path / "gen.pth")
    (tmp_path / "config.json").write_text('{"mode": "area"}')
    for config, got in ((None, "None"), (tmp_path / "config.json", "'area'")):
        with pytest.raises(CheckpointError, match=f"enlarges in a way that its weights do not tell.*got {got}"):
            import_checkpoint("sar2optical", tmp_path / "gen.pth", tmp_path / "out", config=config)


def test_a_discriminator_is_not_taken_for_the_generator(tmp_path: Path) -> None:
    torch.save({"model.0.weight": torch.zeros(64, 6, 4, 4)}, tmp_path / "pix2pix_disc_180.pth")
    with pytest.raises(CheckpointError, match=r"model\.0\.weight: the generator's file is wanted"):
        import_checkpoint("sar2optical", tmp_path / "pix2pix_disc_180.pth", tmp_path / "out")


def unet_shapes(inputs: int, outputs: int, *, width: int, depth: int = 8, statistics: bool = True) -> Shapes:
    """The nested U-Net of pix2pix: each step holds the next; instance normalisation keeps statistics, but has no weights."""
    wide = widths(width, depth)
    shapes: Shapes = {"model.model.0.weight": (wide[0], inputs, 4, 4)}
    shapes |= {"model.model.3.weight": (2 * wide[0], outputs, 4, 4), "model.model.3.bias": (outputs,)}
    path = "model.model.1.model"
    for step in range(1, depth):
        last = step == depth - 1
        up = 3 if last else 5
        shapes |= {f"{path}.1.weight": (wide[step], wide[step - 1], 4, 4)}
        shapes |= {f"{path}.{up}.weight": (wide[step] * (1 if last else 2), wide[step - 1], 4, 4)}
        norms = [(up + 1, wide[step - 1])] + ([] if last else [(2, wide[step])])
        for place, channels in norms if statistics else []:
            shapes |= {f"{path}.{place}.running_mean": (channels,), f"{path}.{place}.running_var": (channels,)}
            shapes |= {f"{path}.{place}.num_batches_tracked": ()}
        path += ".3.model"
    return shapes


def unet(state: State, x: Tensor, depth: int) -> Tensor:
    def step(path: str, x: Tensor, number: int) -> Tensor:
        last = number == depth - 1
        y = F.conv2d(F.leaky_relu(x, 0.2), state[f"{path}.1.weight"], None, 2, 1)
        if not last:
            y = step(f"{path}.3.model", F.instance_norm(y), number + 1)
        y = F.conv_transpose2d(y.relu(), state[f"{path}.{3 if last else 5}.weight"], None, 2, 1)
        return torch.cat((x, F.instance_norm(y)), dim=1)

    y = step("model.model.1.model", F.conv2d(x, state["model.model.0.weight"], None, 2, 1), 1)
    return torch.tanh(F.conv_transpose2d(y.relu(), state["model.model.3.weight"], state["model.model.3.bias"], 2, 1))


def save_gan(folder: Path, *, width: int, depth: int, statistics: bool = True) -> dict[str, State]:
    sizes: dict[str, Any] = {"width": width, "depth": depth, "statistics": statistics}
    states = {
        label: random_state(unet_shapes(*ends, **sizes), seed)
        for seed, (label, ends) in enumerate((("G", (6, 3)), ("G2", (3, 3)), ("A", (3, 1))))
    }
    for label, state in states.items():
        torch.save({f"0.{name}" if label == "A" else name: tensor for name, tensor in state.items()}, folder / f"latest_net_{label}.pth")
    return states


@pytest.mark.parametrize(("label", "statistics"), [("G", True), ("A", False)])
@torch.no_grad()
def test_the_attention_gan_is_what_plain_functions_compute(tmp_path: Path, label: str, statistics: bool) -> None:
    states = save_gan(tmp_path, width=4, depth=5, statistics=statistics)
    model, report = imported("attention_gan", tmp_path / f"latest_net_{label}.pth")
    generator = torch.Generator().manual_seed(4)
    sar, cloudy = (torch.rand((1, bands, 64, 64), generator=generator) * 2 - 1 for bands in (1, 3))
    out = model(sar[:, None], cloudy[:, None])
    simulated = unet(states["G2"], sar.expand(-1, 3, -1, -1), 5)
    share = unet(states["A"], cloudy, 5).abs().clamp(0, 1)
    painted = unet(states["G"], torch.cat((cloudy, simulated), dim=1), 5)
    assert out.attention is not None
    assert out.simulated is not None
    torch.testing.assert_close(out.simulated, simulated, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.attention[:, 0], share, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.mean, share * painted + (1 - share) * cloudy, atol=1e-4, rtol=1e-4)
    assert bool(report.dropped) == statistics
    assert all(name.endswith(("running_mean", "running_var", "tracked")) for name in report.dropped)


def test_all_three_networks_of_an_epoch_are_needed(tmp_path: Path) -> None:
    save_gan(tmp_path, width=2, depth=3)
    (tmp_path / "latest_net_A.pth").unlink()
    with pytest.raises(CheckpointError, match=r"a weight file must exist, got .*latest_net_A\.pth"):
        import_checkpoint("attention_gan", tmp_path / "latest_net_G.pth", tmp_path / "out")
    (tmp_path / "latest_net_G.pth").rename(tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"is three files, EPOCH_net_G\.pth.*got mine\.pth"):
        import_checkpoint("attention_gan", tmp_path / "mine.pth", tmp_path / "out")


def test_other_generators_of_the_code_are_told_apart(tmp_path: Path) -> None:
    save_gan(tmp_path, width=2, depth=3)
    torch.save({"model.1.weight": torch.zeros(64, 6, 7, 7)}, tmp_path / "latest_net_G.pth")
    with pytest.raises(CheckpointError, match=r"G\.model\.1\.weight: geocr has the published networks, unet_256"):
        import_checkpoint("attention_gan", tmp_path / "latest_net_G.pth", tmp_path / "out")


def test_networks_of_published_size_fit_the_defaults_tensor_by_tensor() -> None:
    ends = {"G": (6, 3, 54_407_171), "G2": (3, 3, 54_404_099), "A": (3, 1, 54_400_001)}
    shapes: Shapes = {}
    for label, (inputs, outputs, count) in ends.items():
        own = unet_shapes(inputs, outputs, width=64)
        assert learnt(own) == count
        shapes |= {f"{label}.{name}": shape for name, shape in own.items()}
    for model, given, table in (
        ("attention_gan", shapes, attention_gan._table(8)),
        ("pix2pix", sar2optical_shapes(), sar2optical._TABLE),
    ):
        with torch.device("meta"):
            expected = MODELS.load(model)().state_dict()
        found = translate(meta_state(given), expected, table, source="a file")
        assert found.weights.keys() == expected.keys()
        assert not found.filled
