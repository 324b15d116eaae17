"""Which operation a path leads to."""
