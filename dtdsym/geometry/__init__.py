"""Exact geometry of linear regions: cells, facets, regularity, the component search, and the place of a root."""
