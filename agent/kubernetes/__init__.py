"""Pods of this node from the Kubernetes API: their watch, what is kept of them, and which of them are
captured.
"""
