"""The values of one place: counts that only grow, and the JSON Schema that they support."""
