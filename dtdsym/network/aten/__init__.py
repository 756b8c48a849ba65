"""What torch's own operations (aten) do, said to a Builder: for running modules and for graphs in files."""
