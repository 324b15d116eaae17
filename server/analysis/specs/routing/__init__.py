"""Finds the operation of a path."""
