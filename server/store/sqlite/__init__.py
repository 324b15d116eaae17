"""The store in one SQLite file. Only this package uses SQL and opens connections."""
