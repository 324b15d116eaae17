"""Specifications: from a document's bytes to the validation of each exchange."""
