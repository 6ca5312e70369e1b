"""The random seed of soak tests: a new one in every run, which the output of the run names.

`make test` draws the same values everywhere and always, with seeds of its own or the profile in
`conftest.py`. `SOAK_SEED=… make soak` repeats an earlier run's draws.
"""

import os
import random

NAME = "SOAK_SEED"
# The workers of one test run, which must all collect the same tests, inherit it.
SEED = int(os.environ.setdefault(NAME, str(random.SystemRandom().randrange(10**9))))


def fresh(count: int) -> range:
    """Return seeds to name tests by: the one that failed is in the name, and as `SOAK_SEED` comes first."""
    return range(SEED, SEED + count)
