from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from geocr.core.errors import InputError, RegistryError
from geocr.data.collate import FusionBatch
from geocr.data.datamodule import FusionDataModule
from geocr.data.transforms import SarJitter
from tests.data_makers.scenes import Place, make_scenes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("place"), place=Place(size=(320, 320)))


OPTIONS: dict[str, Any] = {"patch_px": 32, "block_px": 64, "gap_px": 0, "optical_bands": ("B02", "B03", "B04")}


def module_of(root: Path, **options: Any) -> FusionDataModule:
    return FusionDataModule("scenes", root, **({"batch_size": 4, "crop_px": 24, "options": OPTIONS} | options))


class Mean(LightningModule):
    """The smallest thing that trains: one number added to the cloudy image."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(()))
        self.ids: list[str] = []

    def training_step(self, batch: FusionBatch, _: int) -> Tensor:
        self.ids += [meta["id"] for meta in batch["meta"]]
        assert batch["cloudy"].shape == (4, 1, 3, 24, 24)
        return (batch["cloudy"][:, 0] + self.shift - batch["clear"]).square().mean()

    def validation_step(self, batch: FusionBatch, _: int) -> None:
        assert batch["meta"][0]["grid"] is not None
        assert batch["meta"][0]["split"] == "val"

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.4)


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*The number of training batches.*", "ignore:.*LeafSpec.*")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_trainer_runs_over_it(root: Path, tmp_path: Path, workers: int) -> None:
    model = Mean()
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, datamodule=module_of(root, num_workers=workers))
    assert float(model.shift.detach()) == pytest.approx(-0.2, abs=0.01)
    assert len(set(model.ids)) > 40
    assert set(model.ids[: len(model.ids) // 2]) != model.ids


def test_the_seed_decides_order_and_augmentation(root: Path) -> None:
    def first(seed: int) -> tuple[list[str], Tensor]:
        torch.manual_seed(3)
        module = module_of(root, seed=seed, train_transforms=(SarJitter(),))
        module.setup("fit")
        batch = next(iter(module.train_dataloader()))
        return [meta["id"] for meta in batch["meta"]], batch["sar"]

    one, again, other = first(1), first(1), first(2)
    assert one[0] == again[0]
    assert torch.equal(one[1], again[1])
    assert one[0] != other[0]


def test_evaluation_is_in_order_unaugmented_and_whole(root: Path) -> None:
    module = module_of(root, on_error="skip")
    module.setup("test")
    assert [batch["sar"].shape[0] for batch in module.test_dataloader()].count(4) >= 1
    ids = [meta["id"] for batch in module.test_dataloader() for meta in batch["meta"]]
    assert ids == [record.id for record in module.dataset("test").samples]
    assert module.dataset("test").on_error == "stop"
    assert module.dataset("train").on_error == "skip"
    twice = [next(iter(module.val_dataloader()))["cloudy"] for _ in range(2)]
    assert torch.equal(*twice)


def test_meta_stays_on_the_host_and_tensors_move(root: Path) -> None:
    module = module_of(root)
    batch = next(iter(module.val_dataloader()))
    moved = module.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved["sar"].device.type == "meta"
    assert moved["meta"] is batch["meta"]


def test_records_can_be_chosen(root: Path) -> None:
    module = module_of(root, keep=lambda record: record.id.endswith("00"))
    assert all(record.id.endswith("00") for record in module.dataset("train").samples)
    with pytest.raises(InputError, match=r"of \d+ of train it leaves none"):
        module_of(root, keep=lambda record: record.id == "of an index of another grid").setup("fit")


def test_wrong_settings_are_refused(root: Path) -> None:
    with pytest.raises(RegistryError, match="knows"):
        FusionDataModule("nothing", root)
    with pytest.raises(InputError, match="at least one sample"):
        module_of(root, batch_size=0)
