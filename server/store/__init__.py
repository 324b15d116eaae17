"""The server's storage.

`store.py`, `unit.py` (writing) and `reader.py` (reading) define what an engine does, as Protocols. `rows.py`
has the values that leave the store, `values.py` and `draft.py` those that enter it, `keys.py` derives
numbers. `sqlite/` is an engine. Another engine is a folder beside it that passes
tests/server/store/conformance.
"""
