"""VGG-16 features as torchvision computes them, and weight files that are refused."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geocr.core.errors import CheckpointError, GeocrError, InputError
from geocr.losses.perceptual import IMAGENET_MEAN, IMAGENET_STD, PerceptualLoss, vgg16_features
from tests.losses.cases import make_batch, vgg_file


def test_all_layers_are_those_of_torchvision() -> None:
    from torchvision.models import vgg16

    with torch.device("meta"):
        theirs = vgg16(weights=None).features.state_dict()
        ours = vgg16_features(31).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.parametrize("layers", [1, 4, 9])
def test_loss_is_the_distance_of_torchvisions_features(tmp_path: Path, layers: int) -> None:
    from torchvision.models.vgg import cfgs, make_layers

    path = vgg_file(tmp_path)
    theirs = make_layers(cfgs["D"])[:9].double()
    theirs.load_state_dict({name.removeprefix("features."): value for name, value in torch.load(path, weights_only=True).items()})
    given = make_batch((2, 13, 24, 20), invalid=False)
    view = (1, 3, 1, 1)
    mean, std = torch.tensor(IMAGENET_MEAN).double().view(view), torch.tensor(IMAGENET_STD).double().view(view)
    shown = [theirs[:layers](((image[:, [3, 2, 1]] - 0.1) / 0.5 - mean) / std) for image in (given.mean, given.target)]
    loss = PerceptualLoss(weights=str(path), layers=layers, low=0.1, high=0.6).double()
    torch.testing.assert_close(loss(given), (shown[0] - shown[1]).square().mean(), rtol=1e-6, atol=0)


def test_defaults_are_the_layers_of_the_paper_and_the_units_of_torchvisions_weights(tmp_path: Path) -> None:
    from torchvision.models import VGG16_Weights

    units = VGG16_Weights.IMAGENET1K_V1.transforms()
    assert (list(IMAGENET_MEAN), list(IMAGENET_STD)) == (units.mean, units.std)
    assert len(PerceptualLoss(weights=str(vgg_file(tmp_path))).features) == 9


def test_weights_stay_as_they_are(tmp_path: Path) -> None:
    loss = PerceptualLoss(weights=str(vgg_file(tmp_path)))
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_safetensors_and_pytorch_files_are_the_same(tmp_path: Path) -> None:
    path = vgg_file(tmp_path)
    weights = torch.load(path, weights_only=True)
    save_file(weights, tmp_path / "vgg16.safetensors")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "wrapped.pth")
    given = make_batch((1, 13, 16, 16))
    values = {
        float(PerceptualLoss(weights=str(tmp_path / name)).double()(given)) for name in ("vgg16.pt", "vgg16.safetensors", "wrapped.pth")
    }
    assert len(values) == 1


class Harm:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of a weight file was run')",)


def test_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must exist, got .*none\.pt; geocr downloads no weights"):
        PerceptualLoss(weights=str(tmp_path / "none.pt"))
    (tmp_path / "code.pt").write_bytes(pickle.dumps({"features.0.weight": Harm()}))
    torch.save({"features.0.weight": Harm()}, tmp_path / "code.pth")
    (tmp_path / "text.pt").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save({"a": 3}, tmp_path / "number.pt")
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    for name in ("code.pt", "code.pth", "text.pt", "text.safetensors", "number.pt", "list.pt"):
        with pytest.raises(CheckpointError, match=name):
            PerceptualLoss(weights=str(tmp_path / name))


def test_weights_of_another_network_are_listed(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 13, 3, 3), "features.0.bias": torch.zeros(64)}, tmp_path / "other.pt")
    with pytest.raises(
        CheckpointError, match=r"features.0.weight is \(64, 13, 3, 3\) instead of \(64, 3, 3, 3\); features.2.weight is missing"
    ):
        PerceptualLoss(weights=str(tmp_path / "other.pt"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"layers": 0}, "1 to 31 layers"), ({"low": 1.0}, "`high` above its `low`"), ({"channels": (0, 1)}, "three band indices")],
)
def test_senseless_settings_are_refused(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(GeocrError, match=message):
        PerceptualLoss(weights=str(vgg_file(tmp_path)), **arguments)  # type: ignore[arg-type]


def test_too_few_bands_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reads bands \(3, 2, 1\), got 3 bands; set `channels`"):
        PerceptualLoss(weights=str(vgg_file(tmp_path)))(make_batch())
