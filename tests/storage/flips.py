"""Flip one bit of a chain file of 100 draws at 200 places, and check that no wrong draw comes out: flips.py PATH."""

import sys
from pathlib import Path

import known
import numpy as np

from samplers.store import StoreError, read

path = Path(sys.argv[1])
whole = path.read_bytes()
rng = np.random.default_rng(5)
refused = harmless = 0
for place in rng.choice(len(whole), 200, replace=False):
    damaged = bytearray(whole)
    damaged[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(damaged)
    try:
        known.check(read(path))
        harmless += 1  # a filling, or names that only other programs use
    except StoreError:
        refused += 1
print(refused, harmless)
