"""Files that must not become a checkpoint: damaged, hostile, of another network; and nothing is left behind."""

import pickle
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from geocr.checkpoint import load_checkpoint, read_header
from geocr.core.errors import CheckpointError, OutputExistsError, OutputWriteError, RegistryError
from geocr.importing.convert import import_checkpoint
from tests.importing.states import State, random_state
from tests.importing.test_residual_networks import aca_shapes, glf_shapes, keras_layers, write_keras


@pytest.fixture
def state() -> State:
    return random_state(aca_shapes(blocks=2, width=4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path


def refused(folder: Path, message: str, method: str = "acacrnet", file: str = "net.pth", **options: Any) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(method, folder / "in" / file, folder / "out" / "m.safetensors", **options)
    assert list((folder / "out").iterdir()) == []


def save(folder: Path, content: object, name: str = "net.pth") -> Path:
    torch.save(content, folder / "in" / name)
    return folder / "in" / name


def test_an_extra_a_missing_and_a_misshapen_tensor_are_listed(folder: Path, state: State) -> None:
    save(folder, {**state, "net.2.extra": torch.zeros(1)})
    refused(folder, r"unknown: net\.2\.extra; take the method")
    save(folder, {name: tensor for name, tensor in state.items() if name != "net.0.bias"})
    refused(folder, r"missing, by geocr's names: entry\.bias;")
    save(folder, {**state, "net.2.net.conv1.weight": torch.zeros(4, 4, 5, 5)})
    refused(folder, r"of another shape: net\.2\.net\.conv1\.weight \(4, 4, 5, 5\) for \(4, 4, 3, 3\)")


def test_another_method_is_refused_with_what_does_not_fit(folder: Path, state: State) -> None:
    save(folder, state)
    refused(folder, "unknown: net.0.bias, .*missing, by geocr's names", "glfcr")
    save(folder, random_state(glf_shapes(stages=1, steps=1, width=6, growth=8)))
    refused(folder, "unknown: DF.0.fac_warp.0.0.bias.* and .* more; missing", "acacrnet")
    refused(folder, "must be an HDF5 file", "dsen2cr")
    with pytest.raises(RegistryError, match=r"geocr\.importing knows acacrnet, .*got 'dsen2'"):
        import_checkpoint("dsen2", folder / "in" / "net.pth", folder / "out" / "m.safetensors")


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.mark, "executed")


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "inside"])
def test_code_in_a_file_does_not_run(folder: Path, state: State, how: str) -> None:
    mark = folder / "mark"
    content: object = {**state, "payload": Payload(mark)} if how == "inside" else Payload(mark)
    if how == "pickle":
        (folder / "in" / "net.pth").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, folder / "in" / "net.pth", _use_new_zipfile_serialization=how != "legacy")
    refused(folder, "a weight file must be safetensors or a state dict by torch.save, holding tensors only")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(mark)))  # noqa: S301 - the payload works where it is let
    assert mark.read_text() == "executed"


@pytest.mark.parametrize("legacy", [False, True])
def test_a_cut_file_is_refused_at_any_length(folder: Path, state: State, legacy: bool) -> None:
    path = folder / "in" / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for length in (0, 1, 10, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(folder, "must be")


def test_files_that_hold_no_state_dict_are_refused(folder: Path, state: State) -> None:
    for content in ([torch.zeros(1)], {"epoch": 3}, {1: torch.zeros(1)}, torch.zeros(3)):
        save(folder, content)
        refused(folder, "must hold tensors by name")
    refused(folder, "must exist", file="absent.pth")
    save(folder, {})
    refused(folder, "missing, by geocr's names")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_give_no_finite_image_are_refused(folder: Path, state: State, value: float) -> None:
    state["net.2.net.conv1.weight"][0] = value
    save(folder, state)
    refused(folder, "weights must give a finite image")


def test_half_precision_is_read_exactly(folder: Path, state: State) -> None:
    half = {name: tensor.half() for name, tensor in state.items()}
    out = folder / "out" / "m.safetensors"
    import_checkpoint("acacrnet", save(folder, half), out)
    model = load_checkpoint(out).model
    assert torch.equal(model.state_dict()["entry.weight"], half["net.0.weight"].float())


def test_an_existing_checkpoint_is_kept_unless_told(folder: Path, state: State) -> None:
    file, out = save(folder, state), folder / "out" / "m.safetensors"
    import_checkpoint("acacrnet", file, out, licence="MIT")
    before = out.read_bytes()
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        import_checkpoint("acacrnet", file, out)
    save(folder, {name: tensor * 2 for name, tensor in state.items()})
    import_checkpoint("acacrnet", file, out, overwrite=True)
    assert out.read_bytes() != before
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_refused_file_leaves_the_old_checkpoint(folder: Path, state: State) -> None:
    file, out = save(folder, state), folder / "out" / "m.safetensors"
    import_checkpoint("acacrnet", file, out)
    before = out.read_bytes()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError):
        import_checkpoint("acacrnet", file, out, overwrite=True)
    assert out.read_bytes() == before


def test_a_disk_that_cannot_be_written_is_told(folder: Path, state: State) -> None:
    with pytest.raises(OutputWriteError, match="could not be written"):
        import_checkpoint("acacrnet", save(folder, state), folder / "absent" / "m.safetensors")


def test_a_checkpoint_that_reads_back_otherwise_does_not_take_its_name(folder: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(path: Path) -> Any:
        loaded = load_checkpoint(path)
        next(loaded.model.parameters()).data += 1
        return loaded

    monkeypatch.setattr("geocr.importing.convert.load_checkpoint", flipped)
    with pytest.raises(OutputWriteError, match="must read back as it was written"):
        import_checkpoint("acacrnet", save(folder, state), folder / "out" / "m.safetensors")
    assert list((folder / "out").iterdir()) == []


def test_the_header_tells_where_the_weights_are_from(folder: Path, state: State) -> None:
    file, out = save(folder, state), folder / "out" / "m.safetensors"
    import_checkpoint("acacrnet", file, out, licence="Apache-2.0")
    header = read_header(out)
    assert header.licence == "Apache-2.0"
    assert header.config is not None
    source = header.config["imported"]
    assert (source["method"], source["file"], len(source["sha256"])) == ("acacrnet", "net.pth", 64)


def test_importing_leaves_the_random_numbers_alone(folder: Path, state: State) -> None:
    file = save(folder, state)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    import_checkpoint("acacrnet", file, folder / "out" / "m.safetensors")
    assert torch.equal(torch.rand(2), expected)


def test_a_method_without_settings_refuses_them(folder: Path, state: State) -> None:
    save(folder, state)
    refused(folder, "acacrnet has no settings file", config=folder / "conf.json")


def test_damaged_files_of_keras_are_refused(folder: Path) -> None:
    path = write_keras(folder / "in" / "net.h5", keras_layers())
    whole = path.read_bytes()
    for length in (0, 4, 8, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        refused(folder, "weights of Keras must be", "dsen2cr", "net.h5")
    refused(folder, "the published file, which must exist; there is no file at .*absent", "dsen2cr", "absent.h5")


def test_keras_layers_that_have_no_place_are_listed(folder: Path) -> None:
    layers = keras_layers()
    write_keras(folder / "in" / "net.h5", {**layers, "batch_normalization_1": {"gamma": np.ones(3, np.float32)}})
    refused(folder, r"unknown: batch_normalization_1\.gamma", "dsen2cr", "net.h5")
    del layers["conv2d_3"]
    write_keras(folder / "in" / "net.h5", layers)
    refused(folder, "unknown: .*|missing", "dsen2cr", "net.h5")
    del layers["conv2d_4"]["bias"]
    write_keras(folder / "in" / "net.h5", layers)
    refused(folder, r"missing, by geocr's names: body\.0\.layers\.2\.bias", "dsen2cr", "net.h5")


def test_hdf5_of_others_and_of_more_than_it_holds_is_refused(folder: Path) -> None:
    with h5py.File(folder / "in" / "net.h5", "w") as file:
        file["weights"] = np.zeros(3)
    refused(folder, "list their layers", "dsen2cr", "net.h5")
    with h5py.File(folder / "in" / "net.h5", "w") as file:
        file.attrs["layer_names"] = np.array(["conv2d_1"], dtype="S")
        group = file.create_group("conv2d_1")
        group.attrs["weight_names"] = np.array(["conv2d_1/kernel:0"], dtype="S")
        group.create_dataset("conv2d_1/kernel:0", shape=(3, 3, 10**5, 10**5), dtype="f4", chunks=(3, 3, 100, 100))  # none of it is stored
    refused(folder, "declares more values than it holds", "dsen2cr", "net.h5")
    with h5py.File(folder / "in" / "net.h5", "w") as file:
        file.attrs["layer_names"] = np.array(["absent"], dtype="S")
    refused(folder, "is damaged", "dsen2cr", "net.h5")


def test_without_h5py_the_cure_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_keras(folder / "in" / "net.h5", keras_layers())
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(folder, r"need h5py, which is not installed; pip install 'geocr\[keras\]'", "dsen2cr", "net.h5")
