"""Laws of what training is made of: order, draws, learning rate, averages, pools, settings."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geocr.core.errors import InputError
from geocr.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from geocr.training.draws import drawing_from, seed_of
from geocr.training.ema import MovingAverage
from geocr.training.image_pool import ImagePool
from geocr.training.memory import advice, fits, largest_fitting
from geocr.training.optimizers import build_optimizer, rate_factor
from geocr.training.order import BatchStream, SetSource
from geocr.training.overrides import apply_overrides, parse_value


class Numbers:
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None: ...

    def __getitem__(self, index: int) -> int:
        return index


def batches(count: int, **options: Any) -> Iterator[list[Any]]:
    return iter(BatchStream(SetSource(Numbers(count), seed=3), **options))


@given(count=st.integers(1, 40), size=st.integers(1, 9), start=st.integers(0, 30))
def test_a_stream_from_any_number_on_is_the_rest_of_the_stream(count: int, size: int, start: int) -> None:
    whole = list(islice(batches(count, size=size), start + 4))
    assert list(islice(batches(count, size=size, start=start), 4)) == whole[start:]


@given(count=st.integers(1, 40), size=st.integers(1, 9))
def test_an_epoch_shows_no_sample_twice_and_leaves_out_less_than_a_batch(count: int, size: int) -> None:
    per_epoch = BatchStream(SetSource(Numbers(count), seed=3), size=size).per_epoch
    shown = [key.item for batch in islice(batches(count, size=size), per_epoch) for key in batch]
    assert len(shown) == len(set(shown))
    assert count - len(shown) < size


@given(count=st.integers(4, 40), size=st.integers(1, 5), world=st.integers(2, 4))
def test_processes_share_an_epoch_without_overlap(count: int, size: int, world: int) -> None:
    shares = [next(batches(count, size=size, rank=rank, world=world)) for rank in range(world)]
    positions = [key.position for share in shares for key in share]
    assert sorted(positions) == list(range(len(positions)))
    assert len({len(share) for share in shares}) == 1


def test_epochs_differ_and_seeds_differ() -> None:
    one, other = SetSource(Numbers(50), seed=0), SetSource(Numbers(50), seed=1)
    assert list(one.order(0)) == list(one.order(0))
    assert list(one.order(0)) != list(one.order(1))
    assert list(one.order(0)) != list(other.order(0))


def test_draws_depend_on_the_place_alone_and_leave_the_generator_as_it_was() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with drawing_from(1, "sample", 2):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    with drawing_from(1, "sample", 2):
        assert torch.equal(torch.rand(3), first)
    assert seed_of(1, 23) != seed_of(12, 3)
    assert seed_of(0, "weights") == 133441691874178746  # the same on every machine


SCHEDULES = {
    "constant": (ScheduleConfig(), {0.0: 1.0, 7.3: 1.0}),
    "exponential": (ScheduleConfig(name="exponential", gamma=0.5), {0.9: 1.0, 1.0: 0.5, 3.5: 0.125}),
    "StepLR of GLF-CR": (ScheduleConfig(name="step", every=5, gamma=0.5), {4.99: 1.0, 5.0: 0.5, 10.0: 0.25}),
    "pix2pix": (ScheduleConfig(name="linear", start=5.0), {0.0: 1.0, 5.0: 1.0, 7.5: 0.5, 10.0: 0.0}),
    "cosine": (ScheduleConfig(name="cosine"), {0.0: 1.0, 5.0: 0.5, 10.0: 0.0}),
    "warm": (ScheduleConfig(warmup=2.0), {0.0: 0.0, 1.0: 0.5, 2.0: 1.0, 9.0: 1.0}),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rates(name: str) -> None:
    config, expected = SCHEDULES[name]
    for epoch, factor in expected.items():
        assert rate_factor(config, epoch, 10) == pytest.approx(factor)


@given(
    name=st.sampled_from(["constant", "exponential", "step", "linear", "cosine"]),
    epoch=st.floats(0, 20),
    warmup=st.floats(0, 5),
    start=st.floats(0, 9),
)
def test_a_rate_is_never_negative_nor_above_the_full_one(name: Any, epoch: float, warmup: float, start: float) -> None:
    assert 0 <= rate_factor(ScheduleConfig(name=name, gamma=0.7, warmup=warmup, start=start), epoch, 10) <= 1


def test_optimisers_take_their_arguments_and_refuse_others() -> None:
    model = nn.Linear(2, 2)
    made = build_optimizer(OptimizerConfig(name="nadam", lr=7e-5, args={"betas": [0.5, 0.999]}), model.parameters())
    assert isinstance(made, torch.optim.NAdam)
    assert made.defaults["betas"] == [0.5, 0.999]
    with pytest.raises(InputError, match=r"optimizer.args must be arguments of adam"):
        build_optimizer(OptimizerConfig(args={"momentum": 0.9}), model.parameters())
    with pytest.raises(InputError, match="at least one parameter that is not frozen"):
        build_optimizer(OptimizerConfig(), model.requires_grad_(False).parameters())


def test_a_moving_average_is_the_formula_and_gives_the_weights_back() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.zeros_(model[0].weight)
    average, expected = MovingAverage(model, 0.9), 0.0
    for step in range(1, 200):
        nn.init.constant_(model[0].weight, float(step))
        model[1].num_batches_tracked.fill_(step)
        average.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.average["0.weight"]) == pytest.approx(expected, rel=1e-5)
    assert int(average.average["1.num_batches_tracked"]) == 199
    with average.applied(model):
        assert model[0].weight.item() == pytest.approx(expected, rel=1e-5)
    assert model[0].weight.item() == 199


def test_a_pool_keeps_what_it_holds_and_shows_half_of_the_past() -> None:
    torch.manual_seed(0)
    pool, past = ImagePool(10), 0
    for number in range(2000):
        (shown,) = pool.exchange(torch.full((1, 1, 1, 1), float(number)))
        assert len(pool.images) <= 10
        past += int(float(shown) != number)
    assert 900 < past < 1100
    image = torch.ones(2, 3, 4, 4)
    assert ImagePool(0).exchange(image) is image


@given(limit=st.integers(0, 40), failed=st.integers(1, 64))
def test_the_largest_batch_that_fits_is_found(limit: int, failed: int) -> None:
    def attempt(size: int) -> None:
        if size > limit:
            raise torch.OutOfMemoryError

    assert largest_fitting(attempt, failed) == min(limit, failed - 1)
    assert fits(attempt, failed) == (failed <= limit)


def test_advice_keeps_the_number_of_samples_of_a_step() -> None:
    assert "data.batch=5 fits (tried); with run.accumulate=4" in advice(5, 16)
    assert "not even one sample fits" in advice(0, 16)


def test_overrides_reach_inside_and_leave_the_rest() -> None:
    base = {"optimizer": {"lr": 1.0, "name": "adam"}, "loss": {"l1": {"loss": "l1"}}}
    changed = apply_overrides(
        base, ["optimizer.lr=5e-4", "loss.l1=null", "loss.ssim.loss=ssim", 'model.args.optical_bands=["B02", "B03"]', "a=b=c"]
    )
    assert changed == {
        "optimizer": {"lr": 5e-4, "name": "adam"},
        "loss": {"l1": None, "ssim": {"loss": "ssim"}},
        "model": {"args": {"optical_bands": ["B02", "B03"]}},
        "a": "b=c",
    }
    assert base["optimizer"] == {"lr": 1.0, "name": "adam"}
    assert [parse_value(text) for text in ("true", "3", "L2A", "[a, b]", "5e-4", "null", "a: [")] == [
        True,
        3,
        "L2A",
        ["a", "b"],
        5e-4,
        None,
        "a: [",
    ]
    for wrong in ("optimizer.lr", "=3", "a..b=1"):
        with pytest.raises(InputError, match="--set takes PATH=VALUE"):
            apply_overrides(base, [wrong])
    with pytest.raises(InputError, match="has nothing inside"):
        apply_overrides(base, ["optimizer.lr.x=1"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": {"name": "unet"}, "modle": 1}, "modle is no setting; .*did you mean 'model'"),
        ({"model": {"name": "unet"}, "optimizer": {"lr": -1}}, r"optimizer.lr: Input should be greater than 0, got -1"),
        ({"model": {"name": "unet"}, "run": {"precision": "fp16"}}, "run.precision: Input should be 'fp32' or 'bf16', got 'fp16'"),
        ({"model": {"name": "unet"}, "loss": {"l1": None}}, "at least one term under `loss`"),
        ({"model": {"name": "unet"}, "data": {"clouds": {"cover": [0.9, 0.1]}}}, r"data.clouds.cover is a pair \(least, greatest\)"),
        ([1], "Input should be a valid dictionary"),
    ],
)
def test_wrong_settings_are_named(settings: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        TrainConfig.from_dict(settings)


def test_settings_are_frozen_and_survive_yaml(tmp_path: Path) -> None:
    config = TrainConfig.from_dict({"model": {"name": "sscr", "args": {"scale_by": 10.0}}, "optimizer": {"lr": "5e-4"}})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert TrainConfig.from_yaml(tmp_path / "config.yaml") == config
    assert config.optimizer.lr == 5e-4
    with pytest.raises(ValueError, match="frozen"):
        config.about = "x"  # type: ignore[misc]
    (tmp_path / "broken.yaml").write_text("a: [")
    for name in ("broken.yaml", "missing.yaml"):
        with pytest.raises(InputError, match="a configuration must be a readable YAML file"):
            TrainConfig.from_yaml(tmp_path / name)
