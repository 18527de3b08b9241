"""Training against a discriminator, each with an optimiser of its own."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.losses.gan import AdversarialLoss
from geocr.models.adversarial import AdversarialModel
from geocr.training.config import Turn
from geocr.training.image_pool import ImagePool
from geocr.training.network_batch import NetworkBatch
from geocr.training.objective import Judged, Objective
from geocr.training.optimizers import set_rate
from geocr.training.task import Task, require_finite


class AdversarialTask(Task):
    """A generator that minimises its losses and what a discriminator makes of its images.

    Invalid pixels show the truth in both images, so that the discriminator cannot tell them.

    Args:
        fabric: As in `Task`.
        objective: The generator and its losses.
        optimizer: Of the generator.
        discriminator: Judges pairs of condition and image.
        discriminator_optimizer: Its own.
        gan: The losses over scores.
        weight: Factor of the generator's adversarial term.
        pool: Past images that the discriminator sees.
        first: Whose step comes first in a batch.
        clip_norm: As in `Task`, for each of the two.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        *,
        discriminator: nn.Module,
        discriminator_optimizer: torch.optim.Optimizer,
        gan: AdversarialLoss,
        weight: float,
        pool: ImagePool,
        first: Turn,
        clip_norm: float | None,
    ) -> None:
        super().__init__(fabric, objective, optimizer, clip_norm=clip_norm)
        if not isinstance(objective.model, AdversarialModel):
            raise InputError(f"{type(objective.model).__name__} is not trained against a discriminator; drop `adversarial`")
        self.generator: AdversarialModel = objective.model
        self.discriminator = discriminator
        self.discriminator_rate = float(discriminator_optimizer.defaults["lr"])
        self.critic, self.discriminator_optimizer = fabric.setup(discriminator, discriminator_optimizer)
        self.gan, self.weight, self.pool, self.first = gan, weight, pool, first

    def micro_step(self, batch: NetworkBatch, *, share: float, last: bool) -> dict[str, Tensor]:
        """One forward of the generator, then a turn of each."""
        with self.fabric.no_backward_sync(self.net, enabled=not last):
            judged: Judged = self.net(batch)
            require_finite({"loss": judged.total, **judged.parts}, batch)
            target = batch.target.to(judged.out.mean.dtype)
            image = torch.where(batch.valid[:, None], judged.out.mean, target)
            if self.first == "discriminator":
                told = self._discriminate(batch, image.detach(), share=share, last=last)
                fooled = self._generate(batch, judged, image, share=share, last=last)
            else:
                fooled = self._generate(batch, judged, image, share=share, last=last)
                told = self._discriminate(batch, image.detach(), share=share, last=last)
        return {"loss": judged.total.detach(), **judged.parts, "adversarial": fooled, "discriminator": told}

    def _generate(self, batch: NetworkBatch, judged: Judged, image: Tensor, *, share: float, last: bool) -> Tensor:
        self.discriminator.requires_grad_(requires_grad=False)  # the generator's turn leaves no gradient there
        with self.fabric.autocast():
            scores = self.discriminator(self.generator.pair(batch.sar, batch.cloudy, image))
        fooled = self.gan.generator(scores.float())
        require_finite({"adversarial": fooled}, batch)
        self.fabric.backward((judged.total + self.weight * fooled) * share)
        self.discriminator.requires_grad_(requires_grad=True)
        if last:
            self._step(self.net, self.optimizer, batch)
        return fooled.detach()

    def _discriminate(self, batch: NetworkBatch, image: Tensor, *, share: float, last: bool) -> Tensor:
        past = self.pool.exchange(self.generator.pair(batch.sar, batch.cloudy, image))
        real = self.generator.pair(batch.sar, batch.cloudy, batch.target)
        with self.fabric.no_backward_sync(self.critic, enabled=not last):
            told = self.gan.discriminator(self.critic(real).float(), self.critic(past).float())
            require_finite({"discriminator": told}, batch)
            self.fabric.backward(told * share)
        if last:
            self._step(self.critic, self.discriminator_optimizer, batch)
        return told.detach()

    def set_rates(self, factor: float) -> None:
        """Both rates."""
        super().set_rates(factor)
        set_rate(self.discriminator_optimizer, self.discriminator_rate * factor)

    def modules(self) -> tuple[nn.Module, ...]:
        """Generator and discriminator."""
        return (self.objective, self.discriminator)

    def optimizers(self) -> tuple[Any, ...]:
        """Both."""
        return (self.optimizer, self.discriminator_optimizer)

    def state(self) -> dict[str, Any]:
        """Both networks, both optimisers and the pool."""
        return super().state() | {
            "discriminator": self.discriminator.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "pool": list(self.pool.images),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` gave."""
        super().load_state(state)
        self.discriminator.load_state_dict(state["discriminator"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.pool.images = [image.to(self.fabric.device) for image in state["pool"]]
