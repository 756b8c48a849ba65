"""Networks as expressions of other systems, which answer questions about all inputs at once."""
