"""Networks as expressions of other systems, and questions that those systems answer."""
