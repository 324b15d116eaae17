"""Use cases: what people and other programs can do with a server, without HTTP and without SQL.

Routes, pages and commands call these and translate. Methods block until the work is committed, unless they
return a future. What cannot be done raises an error of `errors.py`.
"""
