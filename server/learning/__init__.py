"""Learns each API from what is stored, off the writer's thread, and publishes versions of its document."""
