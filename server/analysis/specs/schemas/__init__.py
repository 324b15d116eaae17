"""What a document's schemas say of a value, converted and compiled once."""
