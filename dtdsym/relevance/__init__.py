"""Rules, the roots they imply, and the relevance they pass down."""
