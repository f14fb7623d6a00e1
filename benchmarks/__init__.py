"""Benchmarks: what an operation, a graph and a training step cost, beside everything comparable.

``python -m benchmarks`` runs them all and writes RESULTS.md and results.svg into build/benchmarks;
``pytest benchmarks`` runs them as any pytest-benchmark suite, ``-k`` choosing among them;
``python -m benchmarks.instructions`` counts instructions and compares them with history/.
"""
