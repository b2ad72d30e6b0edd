"""Which files of a folder are projections: what lies there beside them is passed over and named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctrecon.dicom.common.files import class_named
from ctrecon.dicom.raw.ct_pd_file import NoProjectionError, read_header
from ctrecon.errors import InputError

MAX_PROJECTIONS = 1_000_000
_MOST_NAMED = 3
_MOST_LOOKED_AT = 100


def dicom_names(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the DICOM files in ``folder``, and of the other files, both sorted. Hidden ones are left out.

    Raises:
        InputError: Where ``folder`` is none, or holds nothing that could be a projection.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the folder with the projections")
    every = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    if not every:
        raise InputError(f"{folder}: holds no files; give the folder with the projections")
    names, strays = list[str](), list[str]()
    for name in every:
        (names if _is_dicom(folder / name) else strays).append(name)
    if not names:
        raise none_is_one(folder, strays)
    if len(names) > MAX_PROJECTIONS:
        raise InputError(f"{folder}: holds {len(names)} files, more than {MAX_PROJECTIONS}; give one scan")
    return names, strays


def may_hold_projections(folder: Path) -> bool:
    """Whether any file of a folder is a projection, or damaged so that nobody can say that it is none."""
    return any(_may_be_one(path) for path in sorted(folder.iterdir()))


def _may_be_one(path: Path) -> bool:
    try:
        read_header(path)
    except NoProjectionError:
        return False
    except InputError:
        return True
    return True


def none_is_one(folder: Path, strays: Sequence[str]) -> InputError:
    """What to raise where no file of a folder is a projection."""
    classes = {class_named(folder / name) for name in strays[:_MOST_LOOKED_AT]} - {""}
    held = f", but {' and '.join(sorted(classes)[:_MOST_NAMED])}" if classes else ""
    images = "; `ctrecon simulate --from-dicom` reads CT images" if any("Image" in one for one in classes) else ""
    return InputError(
        f"{folder}: none of its {len(strays)} files ({_listed(strays)}) is a DICOM-CT-PD projection{held}; give the "
        f"folder with the projections{images}"
    )


def passed_over(strays: Sequence[str]) -> tuple[str, ...]:
    """A note on files that are no projections; none where there are none."""
    if not strays:
        return ()
    what = f"{len(strays)} files of the folder are" if len(strays) > 1 else "1 file of the folder is"
    return (f"{what} no projection and passed over: {_listed(strays)}",)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _listed(names: Sequence[str]) -> str:
    said = ", ".join(names[:_MOST_NAMED])
    return said if len(names) <= _MOST_NAMED else f"{said} and {len(names) - _MOST_NAMED} more"
