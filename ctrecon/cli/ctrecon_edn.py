"""Where the command ``ctrecon`` begins: outside of the package, since the registry's ``ctrecon`` is somebody else's.

Ours is ``ctrecon-edn`` there, and both put a folder ``ctrecon`` into one place. Whichever is installed last overwrites
``ctrecon/__init__.py`` and ``ctrecon/phantoms/__init__.py`` of the other, and removing either takes these files away:
then to import anything of it fails, in whatever way. So this file looks first: it is installed beside the package, as a
module of its own (``package-dir`` in pyproject.toml), and imports nothing of it before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

_PACKAGE = "ctrecon"
_KINDS = (".dist-info", ".egg-info")
_EXIT_BAD_INPUT = 2


def other_package(places: Sequence[str] | None = None, ours: Path | None = None) -> str | None:
    """Whether somebody else's package stands beside ours, or took files of ours away.

    Args:
        places: Folders that packages are in; None for those of this Python.
        ours: The folder of ours; None for the one beside this file.

    Returns:
        What is wrong and what to type, in one line; None where ours stands alone.
    """
    for place in sys.path if places is None else places:
        # By the names alone: importlib.metadata would take ten times as long, in every command.
        try:
            names = [one.name for one in Path(place or ".").iterdir()]
        except OSError:
            continue  # a zip file, a folder that is gone
        for name in names:
            if name.lower().startswith(f"{_PACKAGE}-") and name.endswith(_KINDS):
                version = name.split("-")[1].removesuffix(".dist").removesuffix(".egg")
                return (
                    f"another package called ctrecon (version {version}) is installed in {place}, and its files and "
                    "ours overwrite one another; type: python -m pip uninstall ctrecon ctrecon-edn, "
                    "then: python -m pip install ctrecon-edn"
                )
    here = Path(__file__).parent
    if ours is None:
        ours = here.parent if here.name == "cli" else here / _PACKAGE  # as it stands in the source, and as installed
    missing = [str(ours / name) for name in ("__init__.py", "phantoms/__init__.py") if not (ours / name).is_file()]
    if missing:
        return (
            f"{missing[0]} is missing: to remove another package called ctrecon takes files of ours away; type: "
            "python -m pip install --force-reinstall --no-deps ctrecon-edn"
        )
    return None


def main() -> None:
    """The entry point of the ``ctrecon`` command."""
    wrong = other_package()
    if wrong is not None:
        if sys.stderr is not None:  # it may be closed
            sys.stderr.write(f"ctrecon: {wrong}\n")
        sys.exit(_EXIT_BAD_INPUT)
    import_module(f"{_PACKAGE}.cli.main").main()


if __name__ == "__main__":
    main()
