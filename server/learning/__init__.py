"""Learns each API from stored exchanges, outside the writer's thread, and publishes versions of its
document.
"""
