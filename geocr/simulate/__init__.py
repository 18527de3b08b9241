"""Floor 3: whole scenes from a seed, with their truth: what tests, benchmarks and `geocr demo` run on."""
