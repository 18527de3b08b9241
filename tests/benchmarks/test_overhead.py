"""A run is compared with what it cannot go below: the same tiles, the faster of two ways."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Script


@pytest.fixture
def contest(script: Script, tmp_path: Path) -> Any:
    small = {"widths": [4, 8], "tile_px": 96}
    return script("overhead").Contest(folder=tmp_path, size=160, model="fusion_unet", precision="fp32", model_arguments=small)


def test_bare_tiles_are_those_of_the_run(script: Script, contest: Any) -> None:
    overhead = script("overhead")
    prepared = contest.prepared(0.25, "full")
    groups = overhead.tile_groups(prepared.plan)
    assert sum(map(len, groups)) == len(prepared.plan.lattice)
    assert {shape for group in groups for shape in group} <= {(96, 96), *((96 + i, 96 + j) for i in range(2) for j in range(2))}


@pytest.mark.slow
def test_whole_runs_are_measured_against_the_network_and_against_identity(script: Script, contest: Any) -> None:
    overhead = script("overhead")
    full = overhead.against_bare(contest, 0.25, 1)
    fastest = min(full["bare, side by side"]["wall_best_s"], full["bare, one by one"]["wall_best_s"])
    assert full["ratio"]["wall_best_s"] == pytest.approx(full["engine"]["wall_best_s"] / fastest, abs=1e-3)
    assert full["ratio"]["wall_best_s"] > 1
    some = overhead.against_identity(contest, 0.05, 1)
    assert 0 < some["touched_share"] <= 1
    allowed = some["identity"]["wall_best_s"] + some["touched_share"] * min(
        some[f"bare, {way}"]["wall_best_s"] for way in ("side by side", "one by one")
    )
    assert some["allowed_sum"]["wall_best_s"] == pytest.approx(allowed, abs=2e-3)


def test_the_first_turn_does_not_count_and_orders_rotate(script: Script) -> None:
    overhead = script("overhead")
    called: list[str] = []

    def contender(name: str) -> Callable[[], Any]:
        return lambda: called.append(name) or overhead.Took(float(len(called)), 0.0)

    took = overhead.take_turns({"a": contender("a"), "b": contender("b")}, 2)
    assert "".join(called) == "abbaab"
    assert [one.wall_s for one in took["a"]] == [4.0, 5.0]
    assert overhead.summary(took["b"])["wall_median_s"] == 4.5


def test_the_sampler_finds_where_cpu_time_goes_and_waiting_costs_nothing(script: Script) -> None:
    sampled = script("sampled")

    def burn() -> None:
        until = time.thread_time() + 0.5
        while time.thread_time() < until:
            sum(range(1000))

    with sampled.Sampler(packages=("/tests/",)) as sampler:
        time.sleep(0.3)
        burn()
    by_function = {place.partition(":")[0]: 0.0 for _, place in sampler.cpu_s}
    for (_, place), spent in sampler.cpu_s.items():
        by_function[place.partition(":")[0]] += spent
    burnt = next(spent for place, spent in by_function.items() if place.endswith("burn"))
    assert 0.3 < burnt < 0.7
    assert sum(by_function.values()) - burnt < 0.15
    assert 0 < sampler.own_s < 0.5
    assert any("burn" in line for line in sampler.lines())
