"""What the workers of Python's pools do; the same as in `src/work.rs`, as far as the language can."""

import os
import time


def add(seed):
    return seed + 7


def echo(data):
    return data


def look_at(data):
    return sum(data[::4096])


def burn(seed, steps):
    x = (seed * 2654435761 + 1) & 0xFFFFFFFF
    for _ in range(steps):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    return x


def burn_here(seed, steps):
    burn(seed, steps)
    return os.getpid()


def pid(_):
    time.sleep(0.05)
    return os.getpid()
