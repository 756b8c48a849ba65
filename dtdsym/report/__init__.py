"""What an audit found: for people on the terminal and on a page, for programs as JSON."""
