"""Metrics under Lightning, and over two processes."""

import os
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from geocr.metrics.base import MetricInput
from geocr.metrics.presets import PRESETS
from geocr.metrics.suite import MetricSuite, build_suite
from tests.metrics.cases import BANDS, make_batch, part

pytestmark = pytest.mark.slow


def whole() -> dict[str, Tensor]:
    suite = build_suite(PRESETS["geocr"], BANDS)
    suite.update(make_batch(5, size=(24, 25)))
    return suite.compute()


def half_of(rank: int, folder: str) -> None:
    """One of two processes: measures its images, synchronises, and writes what it computes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    given = make_batch(5, size=(24, 25))
    found = {}
    for name in ("geocr", "uncrtaints"):
        suite = build_suite(PRESETS[name], BANDS)
        suite.update(part(given, 0, 3) if rank == 0 else part(given, 3, 5))
        found[name] = suite.compute()
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(half_of, args=(str(tmp_path),), nprocs=2)
    for name in ("geocr", "uncrtaints"):
        suite = build_suite(PRESETS[name], BANDS)
        suite.update(make_batch(5, size=(24, 25)))
        expected = suite.compute()
        for rank in (0, 1):
            found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)[name]
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9, msg=f"{name} {key}")


@pytest.mark.filterwarnings("ignore")
def test_a_lightning_module_logs_a_suite(tmp_path: Path) -> None:
    import lightning

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)
            self.suite: MetricSuite = build_suite(PRESETS["geocr"], BANDS)

        def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
            self.suite.update(MetricInput(**batch))

        def on_validation_epoch_end(self) -> None:
            self.log_dict(self.suite.compute())
            self.suite.reset()

    given = make_batch(5, size=(24, 25))
    names = [field.name for field in fields(given) if getattr(given, field.name) is not None]
    loader = DataLoader([{name: getattr(given, name)[i] for name in names} for i in range(5)], batch_size=2)  # type: ignore[arg-type]  # a list is a data set
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=tmp_path, enable_progress_bar=False
    )
    (logged,) = trainer.validate(Task(), loader, verbose=False)
    for key, value in whole().items():
        assert logged[key] == pytest.approx(float(value), rel=1e-5), key
