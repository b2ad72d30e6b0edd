"""Where an enlarged picture is written: as a picture, as the values that are certified, and its certificate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified
from ctrecon.errors import OutputError
from ctrecon.io.pictures import Picture, kind_of, put_picture, suffixes_for
from ctrecon.io.write import put_array
from ctrecon.outputs.files import Target
from ctrecon.support.arrays import Float64Array
from ctrecon.support.atomic import atomic_files
from ctrecon.support.places import check_places


@dataclass(frozen=True)
class PictureTarget:
    """The picture's path ``S.png``; ``S.npy`` and what belongs to its certificate stand beside it."""

    path: Path
    like: Picture
    values: Target

    @staticmethod
    def at(path: Path, like: Picture, *, inputs: Iterable[Path] = (), overwrite: bool = False) -> PictureTarget:
        """Check before any work is done. Raises OutputError where files cannot be written or would replace inputs."""
        allowed, inputs = suffixes_for(like), list(inputs)
        if kind_of(path) not in allowed:
            raise OutputError(
                f"{path.name} must end in {' or '.join(allowed)}, so that every value is kept; give another -o FILE"
            )
        check_places([path], overwrite=overwrite, inputs=inputs)
        values = Target.at(path.with_suffix(".npy"), inputs=inputs, overwrite=overwrite)
        return PictureTarget(path, like, values)

    def write(
        self, levels: Float64Array, scale: int, certificate: FeasibleCertificate | NotCertified
    ) -> dict[str, Path]:
        """All files or none. Gives the paths by what they are; an older certificate that does not hold now goes, too,
        and is ``removed``.
        """
        written = {"picture": self.path, "image": self.values.path}
        with atomic_files() as place:
            put_picture(place(self.path), levels, self.like, scale)
            if isinstance(certificate, FeasibleCertificate):
                paths = certificate.put(place, self.values.path)
                written |= {"data": paths["data"], "certificate": paths[""]}
            else:
                put_array(place(self.values.path), levels, self.values.path)
            written |= self.values.remove_stale(place, written)
        return written
