"""The values at one place of a document: counts that only grow, and the JSON Schema they support."""
