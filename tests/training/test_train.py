"""What training does with a model: it learns, keeps frozen parts, stops where it must, and leaves what it says it leaves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from PIL import Image

from geocr.checkpoint import load_checkpoint
from geocr.core.errors import CheckpointError, DeviceMemoryError, InputError, TrainingError
from geocr.training.adversarial import AdversarialTask
from geocr.training.build import build_model, build_task
from geocr.training.config import TrainConfig
from geocr.training.material import open_material
from geocr.training.network_batch import NetworkBatch
from geocr.training.objective import Objective
from geocr.training.run import train
from geocr.training.supervised import SupervisedTask
from geocr.training.task import Task
from tests.data_makers.pictures import make_triplets
from tests.training.runs import adversarial, figures, losses, settings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "sen12mscr"


def made_batch(size: int = 4, side: int = 16) -> NetworkBatch:
    generator = torch.Generator().manual_seed(0)
    sar = torch.rand((size, 1, 2, side, side), generator=generator)
    truth = torch.stack([sar[:, 0, 0], sar[:, 0, 1], sar[:, 0].mean(dim=1)], dim=1)  # follows from what radar sees
    mask = torch.rand((size, 1, side, side), generator=generator) > 0.5
    cloudy = torch.where(mask, torch.ones_like(truth), truth)
    return NetworkBatch(
        sar=sar,
        cloudy=cloudy[:, None],
        cloud_mask=mask,
        dates=None,
        target=truth,
        cloudy_out=cloudy,
        valid=torch.ones((size, side, side), dtype=torch.bool),
        ids=tuple(f"sample {number}" for number in range(size)),
    )


def task_of(config: TrainConfig, precision: Any = "32-true") -> Task:
    return build_task(config, build_model(config.model, seed=0), Fabric(accelerator="cpu", precision=precision))


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.named_parameters()}


@pytest.mark.parametrize("make", [settings, adversarial])
def test_it_learns_what_it_is_shown(make: Any, data: Path) -> None:
    changes = {"adversarial": {"weight": 0.01}} if make is adversarial else {}
    task = task_of(make(data, optimizer={"lr": 0.005}, **changes))
    batch, seen = made_batch(), []
    task.train_mode()
    for step in range(90):
        torch.manual_seed(step)
        seen.append(float(task.micro_step(batch, share=1.0, last=True)["l1"]))
    assert np.mean(seen[-5:]) < 0.7 * np.mean(seen[:5])


def test_batches_that_make_a_step_give_the_step_of_one_large_batch(data: Path) -> None:
    """Of a model without batch statistics, and a loss that is a mean over as many pixels."""
    whole, parts = task_of(settings(data)), task_of(settings(data))
    batch = made_batch(4)
    whole.train_mode()
    parts.train_mode()
    whole.micro_step(batch, share=1.0, last=True)
    halves = [batch.part(2), NetworkBatch(*(_second_half(field) for field in batch))]
    for number, half in enumerate(halves):
        parts.micro_step(half, share=0.5, last=number == 1)
    for name, weight in weights_of(whole.model).items():
        torch.testing.assert_close(weights_of(parts.model)[name], weight, rtol=0, atol=1e-5)


def _second_half(value: Any) -> Any:
    return None if value is None else value[2:]


@pytest.mark.parametrize("first", ["generator", "discriminator"])
def test_each_side_steps_once_and_the_generator_leaves_no_gradient_in_the_discriminator(first: str, data: Path) -> None:
    task = task_of(adversarial(data, adversarial={"first": first}))
    assert isinstance(task, AdversarialTask)
    before, judge_before = weights_of(task.model), weights_of(task.discriminator)
    task.train_mode()
    told = task.micro_step(made_batch(), share=1.0, last=True)
    assert set(told) == {"loss", "l1", "adversarial", "discriminator"}
    assert all(not torch.equal(before[name], weight) for name, weight in weights_of(task.model).items() if name.endswith("weight"))
    assert any(not torch.equal(judge_before[name], weight) for name, weight in weights_of(task.discriminator).items())
    assert all(parameter.grad is None for parameter in task.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in task.discriminator.parameters())


def test_a_discriminator_cannot_tell_images_by_invalid_pixels(data: Path) -> None:
    task = task_of(adversarial(data, adversarial={"kind": "pixel", "pool": 0}))
    assert isinstance(task, AdversarialTask)
    batch = made_batch()
    nowhere = batch._replace(valid=torch.zeros_like(batch.valid))
    seen: list[torch.Tensor] = []
    task.discriminator.register_forward_hook(lambda _module, given, _out: seen.append(given[0].detach().clone()))
    task.train_mode()
    task.micro_step(nowhere, share=1.0, last=False)
    assert len(seen) == 3
    assert all(torch.equal(image, seen[0]) for image in seen)


def test_a_term_of_a_model_s_own_reaches_all_its_encoders(data: Path) -> None:
    model = {"name": "mdfcr", "args": {"optical_bands": ["B02", "B03", "B04"], "width": 4, "shared": 4, "private": 3, "blocks": 1}}
    config = TrainConfig.from_dict(
        settings(data).to_dict() | {"model": model, "model_terms": {"reconstruction": 1.0, "swap": 1.0, "separation": 0.1}}
    )
    task = task_of(config)
    task.train_mode()
    told = task.micro_step(made_batch(), share=1.0, last=False)
    assert {"reconstruction", "swap", "separation", "l1"} <= set(told)
    idle = task.model.idle_parameters
    assert [name for name, one in task.model.named_parameters() if one.grad is None and name not in idle] == []
    with pytest.raises(InputError, match="model_terms of this model are none; got swap"):
        task_of(TrainConfig.from_dict(settings(data).to_dict() | {"model_terms": {"swap": 1.0}}))


def test_a_loss_on_an_image_the_model_does_not_give_is_refused(data: Path) -> None:
    task = task_of(settings(data, loss={"s": {"loss": "l1", "of": "simulated"}}))
    with pytest.raises(InputError, match="looks at `simulated`, which this model does not give"):
        task.micro_step(made_batch(), share=1.0, last=True)


def test_losses_stay_in_float32_where_layers_are_bf16(data: Path) -> None:
    config = settings(data, loss={"ssim": {"loss": "ssim"}, "l1": {"loss": "l1"}})
    seen: list[torch.dtype] = []
    task = task_of(config, "bf16-mixed")
    objective = task.objective
    assert isinstance(objective, Objective)
    objective.model.register_forward_hook(lambda *_: seen.append(torch.get_autocast_dtype("cpu")))
    task.train_mode()
    half = task.micro_step(made_batch(), share=1.0, last=True)
    assert seen == [torch.bfloat16]
    full_task = task_of(config)
    full_task.train_mode()
    full = full_task.micro_step(made_batch(), share=1.0, last=True)
    assert half["ssim"].dtype == torch.float32
    assert float(half["ssim"]) == pytest.approx(float(full["ssim"]), abs=0.01)
    assert float(half["l1"]) != float(full["l1"])


def test_frozen_parts_stay_with_their_statistics(data: Path, tmp_path: Path) -> None:
    args = {"optical_bands": ["B02", "B03", "B04"], "widths": [4, 6], "batch_norm": True, "tile_px": 64}
    config = settings(data, model={"args": args | {"use_mask": False}}, run={"max_steps": 2})
    train(config, tmp_path / "first")
    start = tmp_path / "first" / "last.safetensors"
    names = list(load_checkpoint(start).model.state_dict())
    frozen = names[0].split(".")[0]
    tuned = settings(
        data, model={"args": args | {"use_mask": False}, "start": str(start), "freeze": [f"{frozen}.*"]}, run={"max_steps": 2, "seed": 1}
    )
    train(tuned, tmp_path / "second")
    before, after = (load_checkpoint(path).model.state_dict() for path in (start, tmp_path / "second" / "last.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in names if name.startswith(f"{frozen}."))
    assert any(not torch.equal(before[name], after[name]) for name in names if not name.startswith(f"{frozen}."))
    with pytest.raises(InputError, match=r"model.freeze names parameters, .*'nothing.\*' matches none"):
        build_model(tuned.model.model_copy(update={"freeze": ("nothing.*",)}), seed=0)
    other = settings(data, model={"name": "dsen2cr", "args": {"blocks": 1, "width": 4}, "start": str(start)})
    with pytest.raises(CheckpointError, match=r"of its own model, dsen2cr; .* is of fusion_unet"):
        build_model(other.model, seed=0)


def test_averaged_weights_are_what_is_saved(data: Path, tmp_path: Path) -> None:
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    train(settings(data), plain)
    train(settings(data, run={"ema": 0.99}), averaged)
    assert losses(plain) == losses(averaged)
    one, other = (load_checkpoint(folder / "last.safetensors").model.state_dict() for folder in (plain, averaged))
    assert any(not torch.equal(one[name], other[name]) for name in one)
    resume = torch.load(averaged / "resume.pt", weights_only=True)
    assert all(torch.equal(resume["average"][name], other[name]) for name in other)
    assert all(torch.equal(resume["task"]["model"][name], one[name]) for name in one)


def test_it_stops_early_when_nothing_gets_better(data: Path, tmp_path: Path) -> None:
    config = settings(data, optimizer={"lr": 1e-30}, run={"epochs": 50, "patience": 3})
    result = train(config, tmp_path / "run")
    assert result.finished
    assert result.best_step == 2
    assert result.steps == 2 + 3 * 2


def test_a_loss_that_is_no_number_stops_with_the_samples(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(data)
    seen: list[tuple[str, ...]] = []
    forward = Objective.forward

    def spoilt(self: Objective, batch: NetworkBatch) -> Any:
        judged = forward(self, batch)
        seen.append(batch.ids)
        return judged._replace(total=judged.total * float("nan")) if len(seen) == 2 else judged

    monkeypatch.setattr(Objective, "forward", spoilt)
    with pytest.raises(TrainingError, match="a loss must be a finite number; got loss = nan") as caught:
        train(config, tmp_path / "run")
    assert all(name in str(caught.value) for name in seen[-1])
    monkeypatch.undo()
    assert train(config, tmp_path / "run", resume=True).finished
    train(config, tmp_path / "whole")
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


@pytest.mark.parametrize("make", [settings, adversarial])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_is_no_number_stops_before_it_spoils_the_weights(make: Any, clip: float | None, data: Path) -> None:
    task = task_of(make(data, run={"clip_norm": clip}))
    before, batch = weights_of(task.model), made_batch()
    next(iter(task.model.parameters())).register_hook(lambda gradient: gradient * float("nan"))
    task.train_mode()
    with pytest.raises(TrainingError, match="a gradient must be a finite number; got norm of the gradient = nan on the samples sample 0"):
        task.micro_step(batch, share=1.0, last=True)
    assert all(torch.equal(before[name], weight) for name, weight in weights_of(task.model).items())


def test_a_run_that_is_begun_again_leaves_nothing_of_the_first(data: Path, tmp_path: Path) -> None:
    config = settings(data, run={"pictures": 1, "tensorboard": True, "max_steps": 2})
    train(config, tmp_path)
    first = {path for path in tmp_path.rglob("*") if path.is_file()}
    train(settings(data, run={"max_steps": 1}), tmp_path, overwrite=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert any("samples" in path.parts for path in first)
    assert left == {"config.yaml", "log.csv", "resume.pt", "best.safetensors", "last.safetensors"}


def test_a_batch_that_does_not_fit_says_which_would(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    micro_step = SupervisedTask.micro_step

    def small(self: SupervisedTask, batch: NetworkBatch, *, share: float, last: bool) -> Any:
        if len(batch.ids) > 3:
            raise torch.OutOfMemoryError
        return micro_step(self, batch, share=share, last=last)

    monkeypatch.setattr(SupervisedTask, "micro_step", small)
    with pytest.raises(
        DeviceMemoryError, match=r"5 samples of \(16, 16\) pixels do not; data.batch=3 fits \(tried\); with run.accumulate=2"
    ):
        train(settings(data, data={"batch": 5}), tmp_path / "run")


def test_a_monitor_that_is_not_measured_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run.monitor must be a figure of the validation: loss, psnr_db"):
        train(settings(data, run={"monitor": "fid", "max_steps": 1}), tmp_path / "run")


def test_pictures_show_what_there_is_and_tensorboard_gets_them(data: Path, tmp_path: Path) -> None:
    result = train(settings(data, data={"cloud_mask": "rule"}, run={"max_steps": 2, "pictures": 2, "tensorboard": True}), tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "step_0000002.png") as picture:
        assert picture.width == 5 * (192 + 6) + 6  # VV, cloudy, prediction, truth, mask
        assert picture.height > 2 * 192
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    assert "psnr_db_cloudy" in result.figures


def test_wandb_is_asked_for_by_name(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run.wandb needs the package wandb"):
        train(settings(data, run={"wandb": "project"}), tmp_path / "run")


def test_held_out_regions_are_whole_and_apart(tmp_path: Path) -> None:
    make_triplets(tmp_path, [str(number) for number in range(30)])
    config = TrainConfig.from_dict(
        {
            "model": {"name": "attention_gan", "args": {"width": 4, "depth": 3, "tile_px": 32}},
            "data": {"dataset": "triplets", "root": str(tmp_path), "holdout": 0.3},
        }
    )
    spec = build_model(config.model, seed=0).spec
    material = open_material(config.data, spec, seed=0, pictures=2)
    source: Any = material.train
    train_ids = {source.dataset.identify(index) for index in range(len(source.dataset))}
    val_ids = {material.val.identify(index) for index in range(len(material.val))}
    assert train_ids
    assert val_ids
    assert not train_ids & val_ids
    assert len(train_ids | val_ids) == 30
    assert len(material.pictured) == 2
    with pytest.raises(InputError, match="triplets has no split for validation"):
        open_material(config.data.model_copy(update={"holdout": None}), spec, seed=0, pictures=0)


def test_what_does_not_fit_together_is_refused(data: Path) -> None:
    with pytest.raises(InputError, match="least_cloudy is a rule without weights"):
        task_of(settings(data, model={"name": "least_cloudy", "args": {}}))
    with pytest.raises(InputError, match="fusion_unet is not trained against a discriminator"):
        task_of(settings(data, adversarial={"loss": "bce"}))
    with pytest.raises(InputError, match=r"model.args must be arguments of fusion_unet; .*wideness"):
        task_of(settings(data, model={"args": {"wideness": 3}}))
    with pytest.raises(InputError, match=r"loss.a.args must be arguments of l1"):
        task_of(settings(data, loss={"a": {"loss": "l1", "args": {"x": 1}}}))
    config = settings(data, data={"root": None})
    spec = build_model(config.model, seed=0).spec
    with pytest.raises(InputError, match="the folder of the data is not known; give --data sen12mscr=PATH"):
        open_material(config.data, spec, seed=0, pictures=0)
