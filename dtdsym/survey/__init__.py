"""Which inputs, rules and layers are audited; batches, workers, resumption and tallies."""
