"""Whether ours is the only package of its name: the registry's project ``ctrecon`` is somebody else's.

Ours is ``ctrecon-edn`` there, and both put a folder ``ctrecon`` into one place. Whichever is installed last overwrites
``ctrecon/__init__.py`` and ``ctrecon/phantoms/__init__.py`` of the other, and removing either takes these files away.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ctrecon.errors import SettingError

_KINDS = (".dist-info", ".egg-info")


def check_alone(places: Sequence[str] | None = None) -> None:
    """Refuse to go on beside the other package.

    Args:
        places: Folders that packages are in; None for those of this Python.

    Raises:
        SettingError: With the version of the other one, where it is, and what to type.
    """
    for place in sys.path if places is None else places:
        # By the names alone: importlib.metadata would take ten times as long, in every command.
        try:
            names = [one.name for one in Path(place or ".").iterdir()]
        except OSError:
            continue  # a zip file, a folder that is gone
        for name in names:
            if name.lower().startswith("ctrecon-") and name.endswith(_KINDS):
                version = name.split("-")[1].removesuffix(".dist").removesuffix(".egg")
                raise SettingError(
                    f"another package called ctrecon (version {version}) is installed in {place}, and its files and "
                    f"ours overwrite one another; type: python -m pip uninstall ctrecon ctrecon-edn, "
                    f"then: python -m pip install ctrecon-edn"
                )
