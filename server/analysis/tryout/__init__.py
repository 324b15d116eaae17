"""Holds stored exchanges against a proposed document: which calls it would break, whose, and what share.

`tryout.py` judges each exchange by the proposal. A call breaks if it deviates where it does not deviate now.
`usage.py` says of each breaking change between the present document and the proposal whether a call uses it;
for that `written_out.py` makes documents of any version comparable.
"""
