"""Uses a share of a CPU, which --duty gives, in turns of 20 ms."""

from __future__ import annotations

import argparse
import time

TURN_S = 0.02

parser = argparse.ArgumentParser()
parser.add_argument("--duty", type=float, default=1.0)
duty = parser.parse_args().duty
while True:
    began = time.perf_counter()
    while time.perf_counter() - began < TURN_S * duty:
        pass
    if duty < 1:
        time.sleep(TURN_S * (1 - duty))
