"""Where an enlarged picture is written: as a picture, as the values that are certified, and its certificate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified
from ctrecon.errors import OutputError
from ctrecon.io.pictures import Picture, kind_of, suffixes_for, write_picture
from ctrecon.io.write import write_array
from ctrecon.outputs.files import CERTIFICATE_FILES, Target
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True)
class PictureTarget:
    """The picture's path ``S.png``; ``S.npy`` and what belongs to its certificate stand beside it."""

    path: Path
    like: Picture
    values: Target

    @staticmethod
    def at(path: Path, like: Picture, *, inputs: Iterable[Path] = ()) -> PictureTarget:
        """Check before any work is done. Raises OutputError where files cannot be written or would replace inputs."""
        allowed, inputs = suffixes_for(like), list(inputs)
        if kind_of(path) not in allowed:
            raise OutputError(
                f"{path.name} must end in {' or '.join(allowed)}, which keep every value; give another -o FILE"
            )
        if path.resolve() in {given.resolve() for given in inputs}:
            raise OutputError(f"{path} would replace the input; give another -o FILE")
        return PictureTarget(path, like, Target.at(path.with_suffix(".npy"), inputs=inputs))

    def write(
        self, levels: Float64Array, scale: int, certificate: FeasibleCertificate | NotCertified
    ) -> dict[str, Path]:
        """The paths by what they are; ``certificate`` is among them if there is one, else an older one is removed."""
        write_picture(self.path, levels, self.like, scale)
        written = {"picture": self.path, "image": self.values.path}
        if isinstance(certificate, FeasibleCertificate):
            paths = certificate.write(self.values.path)
            return {**written, "data": paths["data"], "certificate": paths[""]}
        write_array(self.values.path, levels)
        for suffix in CERTIFICATE_FILES:
            self.values.beside(suffix).unlink(missing_ok=True)
        return written
