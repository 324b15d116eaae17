"""The doctor: what can be captured on this host and of each process; if not, the reason and the cure."""
