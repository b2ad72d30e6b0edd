"""How many threads a test has: one, as `make test` has it, unless ``OMP_NUM_THREADS`` says another number."""

from __future__ import annotations

import os

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
