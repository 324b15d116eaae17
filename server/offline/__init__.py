"""Commands that work from files, without a server of their own."""
