"""Changes of a document under which a deviation conforms."""
