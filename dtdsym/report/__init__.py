"""What an audit found: for people on the terminal, for programs as JSON."""
