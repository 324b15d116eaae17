"""A document as text and tree: bytes, files, pointers, checked values; no schema is read here."""
