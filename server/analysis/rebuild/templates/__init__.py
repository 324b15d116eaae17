"""Path templates: a trie of what was asked for, and which of its words are values of a parameter."""
