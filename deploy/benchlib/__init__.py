"""What deploy/bench runs: the real programs and their peers on this machine, in turn, and a table of what they took."""
