"""Know the seed of what soak tests draw: a new one in every run, which its output names.

What is drawn in `make test` is the same everywhere and always; it has seeds of its own, or the profile of
`conftest.py`. `SOAK_SEED=… make soak` draws again what was drawn before.
"""

import os
import random

NAME = "SOAK_SEED"
# The workers of one test run, which must all collect the same tests, inherit it.
SEED = int(os.environ.setdefault(NAME, str(random.SystemRandom().randrange(10**9))))


def fresh(count: int) -> range:
    """Return seeds to name tests by: the one that failed is in the name, and as `SOAK_SEED` comes first."""
    return range(SEED, SEED + count)
