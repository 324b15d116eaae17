"""Documents as text and tree: bytes, files, pointers, checked values; no schemas."""
