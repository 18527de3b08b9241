"""How a worker process of a loader begins."""

from geocr.core.memory import keep_freed_memory


def prepare_worker(worker_id: int) -> None:  # noqa: ARG001 - the signature that a DataLoader calls
    """Set a worker up for reading patches: give it to a `DataLoader` as `worker_init_fn`."""
    keep_freed_memory()
