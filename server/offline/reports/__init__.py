"""What `spectap match` found, in the formats that people and other programs read.

`report.py` counts while exchanges are read, by operation and deviation; each format turns these counts into
text once all are read. No format holds a value of the traffic: only names, places in bodies and sentences
made from the specification. Lines about single exchanges (`-o jsonl`) are not a report: `matching.py`
writes them as it reads.
"""
