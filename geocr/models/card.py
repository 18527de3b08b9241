"""What is known about a model whatever its configuration: its paper, its licence, its size, how it is exported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geocr.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Facts that `geocr models` lists and that the contract tests hold every model to."""

    title: str
    """The method's own name and what it does, one line."""
    paper: str
    """Authors, year, venue; `none` for a design of geocr's own or a rule without a paper."""
    url: str | None = None
    """Where the paper or, without one, its code can be read."""
    original_licence: str
    """Licence of the code that its authors published: `none published` where a repository carries none, `no code published`
    where there is none, `-` for geocr's own. geocr's code is its own and Apache-2.0 throughout."""
    small: tuple[Mapping[str, Any], ...]
    """JSON-able arguments of at least one tiny configuration, for tests; together they vary every option that
    changes the graph."""
    counts: tuple[tuple[Mapping[str, Any], int], ...]
    """Arguments and number of parameters; the first entry is the default configuration, `({}, n)`."""
    not_onnx: str | None = None
    """Why `torch.onnx.export` cannot export it, or None: it can, and the tests hold onnxruntime to the same values."""
    not_exportable: str | None = None
    """Why `torch.export.export` cannot export it, or None: it can."""
    bf16_tolerance: float = 0.03
    """Root mean square of the change by bf16 weights, as a share of the output's own spread."""
    needs_px: int = 16
    """Least side of the images that the tests use; a multiple of the small configurations' size multiple."""
    unseen: tuple[str, ...] = field(default=())
    """Inputs that an untrained model may ignore, each with the reason, as `name: reason`; the tests skip them."""

    def __post_init__(self) -> None:
        """Refuse cards that the tests could not use."""
        if not self.small or not self.counts or self.counts[0][0]:
            raise InputError(
                f"a model card needs a small configuration and the count of the default configuration first, got {self.small!r}, {self.counts!r}"
            )
