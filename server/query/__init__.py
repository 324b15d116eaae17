"""The query language of every list: text, or parameters of a URL, becomes the store's filters."""
