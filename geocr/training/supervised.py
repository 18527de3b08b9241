"""Training against the truth alone."""

from torch import Tensor

from geocr.training.network_batch import NetworkBatch
from geocr.training.objective import Judged
from geocr.training.task import Task, require_finite


class SupervisedTask(Task):
    """A model that minimises its losses."""

    def micro_step(self, batch: NetworkBatch, *, share: float, last: bool) -> dict[str, Tensor]:
        """Forward, backward and, behind the last batch, the step."""
        with self.fabric.no_backward_sync(self.net, enabled=not last):
            judged: Judged = self.net(batch)
            require_finite({"loss": judged.total, **judged.parts}, batch)
            self.fabric.backward(judged.total * share)
        if last:
            self._step(self.net, self.optimizer, batch)
        return {"loss": judged.total.detach(), **judged.parts}
