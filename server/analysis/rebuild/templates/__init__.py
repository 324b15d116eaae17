"""Path templates: a trie of requested paths, and which of its words are values of a parameter."""
