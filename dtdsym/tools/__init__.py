"""Audits straight from other people's tools: which rule each layer has there, as a composite of this package."""
