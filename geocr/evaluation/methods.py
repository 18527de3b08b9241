"""From checkpoints and names to the methods of a run: who predicts, what is mixed of whom, who is compared with whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from geocr.checkpoint import load_checkpoint
from geocr.core.errors import BandError, InputError
from geocr.data.sample import FusionSample, SampleMeta
from geocr.evaluation.baselines import Baseline
from geocr.evaluation.mixing import EnsembleVariance, mix
from geocr.evaluation.network import NetworkPredictor
from geocr.evaluation.prediction import Prediction, Predictor
from geocr.evaluation.settings import EvaluateSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Methods:
    """All methods of a run."""

    networks: tuple[NetworkPredictor, ...]
    """Checkpoints, in the order given."""
    baselines: tuple[Baseline, ...]
    """Rules and fits."""
    ensemble: tuple[EnsembleVariance, ...]
    """Variances of the ensemble of all networks; `()` for none."""

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """Those that look at samples."""
        return (*self.networks, *self.baselines)

    @property
    def learnt(self) -> list[str]:
        """Names of checkpoints, with and without views, and of ensembles."""
        plain = [name for network in self.networks for name in dict.fromkeys((network.name, network.best))]
        return [*plain, *(f"ensemble {kind}" for kind in self.ensemble)]

    @property
    def names(self) -> list[str]:
        """Every method, in the order of tables."""
        return [*self.learnt, *(baseline.name for baseline in self.baselines)]

    def bands_of(self, meta: SampleMeta) -> dict[str, tuple[str, ...]]:
        """Method to the bands it predicts.

        Raises:
            BandError: When members of the ensemble predict different bands.
        """
        found: dict[str, tuple[str, ...]] = {}
        for network in self.networks:
            found |= dict.fromkeys((network.name, network.best), network.bands_for(meta))
        members = {network.bands_for(meta) for network in self.networks}
        if self.ensemble and len(members) > 1:
            told = "; ".join(", ".join(bands) for bands in members)
            raise BandError(f"members of an ensemble predict the same bands in the same order, got {told}; leave --ensemble out")
        found |= {f"ensemble {kind}": next(iter(members)) for kind in self.ensemble}
        return found | {baseline.name: baseline.bands_for(meta) for baseline in self.baselines}

    def predict(self, samples: Sequence[FusionSample]) -> list[dict[str, Prediction]]:
        """Every method's answer to samples of one shape, in the order of `names`."""
        answers: list[dict[str, Prediction]] = [{} for _ in samples]
        for predictor in self.predictors:
            for answer, found in zip(answers, predictor.predict(samples), strict=True):
                answer.update(found)
        for answer in answers:
            members = [answer[network.best] for network in self.networks]
            answer.update({f"ensemble {kind}": mix(members, kind) for kind in self.ensemble})
        return [{name: answer[name] for name in self.names} for answer in answers]

    def describe(self) -> dict[str, Any]:
        """JSON-able facts of each method."""
        facts: dict[str, Any] = {}
        for network in self.networks:
            facts[network.name] = network.describe()
            if network.best != network.name:
                facts[network.best] = network.describe() | {"views": network.tta}
        members = [network.best for network in self.networks]
        facts |= {f"ensemble {kind}": {"kind": "ensemble", "variance": kind, "members": members} for kind in self.ensemble}
        return facts | {baseline.name: baseline.describe() for baseline in self.baselines}

    def pairs(self, reference: str | None) -> list[tuple[str, str]]:
        """Who is tested against whom.

        Raises:
            InputError: When the reference is no method of the run.
        """
        if reference is not None:
            if reference not in self.names:
                raise InputError(f"the reference is one of the methods of the run, {', '.join(self.names)}; got {reference!r}")
            return [(name, reference) for name in self.names if name != reference]
        one_ensemble = [name for name in self.learnt if not name.startswith("ensemble ") or name == f"ensemble {self.ensemble[0]}"]
        return list(combinations(one_ensemble, 2))  # the others have the same mean


def build_methods(checkpoints: Sequence[str | Path], settings: EvaluateSettings) -> Methods:
    """Load checkpoints and look up names.

    Raises:
        CheckpointError: When a checkpoint cannot be read.
        InputError: When there is nothing to evaluate, or an ensemble of one.
        RegistryError: When a baseline does not exist.
    """
    if not checkpoints and not settings.baselines:
        raise InputError("an evaluation needs a method: give checkpoints, or --baseline NAME, or both")
    if settings.ensemble and len(checkpoints) < 2:
        raise InputError(f"an ensemble has two members or more, got {len(checkpoints)} checkpoint; give more, or leave --ensemble out")
    baselines = tuple(Baseline(name, settings.seed) for name in settings.baselines)
    names = _names_of(checkpoints, taken=set(settings.baselines))
    networks = tuple(
        NetworkPredictor.of(load_checkpoint(path), name=name, device=settings.device, tta=settings.tta)
        for path, name in zip(checkpoints, names, strict=True)
    )
    return Methods(networks=networks, baselines=baselines, ensemble=settings.ensemble)


def _names_of(checkpoints: Sequence[str | Path], taken: set[str]) -> list[str]:
    """File names without their ending; numbered where one comes twice."""
    names: list[str] = []
    for path in checkpoints:
        stem = Path(path).stem
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
        taken.add(name)
    return names
