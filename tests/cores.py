"""How many threads a test has: where several processes run the tests, each has one core."""

from __future__ import annotations

import os

THREADS = 1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1)
