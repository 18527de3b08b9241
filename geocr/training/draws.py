"""Random numbers as functions of a place in the run, so that nothing about them has to be stored to go on from it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(*place: int | str) -> int:
    """A seed of 63 bits for a place: equal for equal arguments on every machine, unrelated for others."""
    text = "/".join(map(str, place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def drawing_from(*place: int | str) -> Iterator[None]:
    """Let torch's generator of the CPU begin at the place's seed inside, and go on as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*place))
        yield
