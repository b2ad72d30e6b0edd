"""What files beside a certificate are called, but for those that the checker reads; and the hash of a history."""

import hashlib
import json

HISTORY = ".history.json"
"""How the image came about: ``S.history.json`` beside ``S.npy``."""

_OF_THE_CLOCK = ("seconds", "timings")


def history_sha256(raw: bytes) -> str:
    """SHA-256 of what a history says, but for the clock: the same work has the same hash.

    Args:
        raw: The file's bytes.

    Returns:
        64 digits.

    Raises:
        ValueError: For what is no history.
    """
    values = json.loads(raw)
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    kept = {name: value for name, value in values.items() if name not in _OF_THE_CLOCK}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
