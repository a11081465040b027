"""Measures what explanations cost, side by side with a forward pass: `python -m benchmarks`."""
