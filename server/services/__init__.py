"""Use cases of the server, without HTTP and without SQL.

Routes, pages and commands call them and translate. Methods block until the work is committed, unless they
return a future. Failures raise an error of `errors.py`.
"""
