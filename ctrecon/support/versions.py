"""Versions of what takes part in a computation."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """Names and versions: Python, this package, and the libraries that compute."""
    found = {"python": platform.python_version()}
    for name, distribution in {"ctrecon": "ctrecon-edn", "torch": "torch", "numpy": "numpy", "scipy": "scipy"}.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
