"""Networks as data: a small graph of layers with exact weights, how to slice it, and how to load it safely."""
