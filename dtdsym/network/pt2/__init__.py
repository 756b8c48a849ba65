"""Archives of torch.export, read by the graph that they state."""
