"""Changes of a document that would end a deviation."""
