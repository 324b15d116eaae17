"""Specifications: from a document's bytes to a judgement of each exchange."""
