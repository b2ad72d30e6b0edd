"""Where a reconstruction is written, all of it or nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ctrecon.errors import OutputError
from ctrecon.io.arrays import atomic_write, write_array
from ctrecon.preview import draw_preview
from ctrecon.reconstruction import Reconstruction

_SIDE_FILES = (".certificate.json", ".data.npy", ".weights.npy", ".matrix.npz", ".png")


@dataclass(frozen=True)
class Target:
    """The image's path ``S.npy``; the other files share its stem."""

    path: Path

    @staticmethod
    def at(path: Path) -> Target:
        """Check, before any work is done, that files can be written there. Raises OutputError."""
        if path.suffix != ".npy":
            raise OutputError(f"the image is written as NumPy array, so {path.name} must end in .npy")
        folder = path.parent
        if not folder.is_dir():
            raise OutputError(f"the folder {folder} does not exist; create it or give another -o FILE")
        if path.is_dir() or not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise OutputError(f"{path} cannot be written: no permission, or a folder; give another -o FILE")
        return Target(path)

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name.removesuffix(".npy") + suffix)

    def write(self, result: Reconstruction, *, preview: bool = True) -> dict[str, Path]:
        """Write image, certificate (where there is one) and preview; gives the paths by what they are.

        An older certificate of the same name goes first: it speaks of another image.
        """
        picture = draw_preview(result) if preview else None
        try:
            for suffix in _SIDE_FILES:
                self.beside(suffix).unlink(missing_ok=True)
        except OSError as why:
            raise OutputError(f"cannot replace files of {self.path}: {why.strerror}; give another -o FILE") from None
        written = {"image": self.path}
        if result.certificate is not None:
            paths = result.certificate.write(self.path)
            written["certificate"] = paths[""]
            written |= {name: path for name, path in paths.items() if name not in ("", "image")}
        else:
            write_array(self.path, result.image)
        if picture is not None:
            with atomic_write(self.beside(".png")) as partial:
                partial.write_bytes(picture)
            written["preview"] = self.beside(".png")
        return written
