"""What the server keeps.

`store.py`, `unit.py` (writing) and `reader.py` (reading) say what an engine does, as Protocols by use;
`rows.py` is what leaves the store, `values.py` and `draft.py` what goes in, `keys.py` what numbers come of.
`sqlite/` is an engine. Another is a folder beside it that passes tests/server/store/conformance.
"""
