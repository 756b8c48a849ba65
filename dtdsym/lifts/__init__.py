"""Networks as expressions of other systems, and what follows from them there."""
