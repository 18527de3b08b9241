"""Floor 4: how good are checkpoints, ensembles and baselines on the same samples? Never imports training."""
