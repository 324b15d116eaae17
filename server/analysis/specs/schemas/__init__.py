"""A document's schemas, converted and compiled once."""
