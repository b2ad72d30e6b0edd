"""``ctrecon.reconstruct``: a scan in, a certified image out, in one call."""

from __future__ import annotations

import dataclasses
import inspect
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypedDict, Unpack

from torch import nn

from ctrecon.descent.directions import Direction
from ctrecon.energies.base import Energy
from ctrecon.errors import InputError, SettingError
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.scan import Scan
from ctrecon.reconstruction.checkpoint_file import remove_checkpoint
from ctrecon.reconstruction.run import apply_to_scan, as_asked, run
from ctrecon.reconstruction.settings import GIVEN, Settings
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.arguments import checked
from ctrecon.support.atomic import check_writable
from ctrecon.support.elsewhere import Spreads
from ctrecon.support.progress import Report
from ctrecon.workbench.result import Reconstruction


class Options(TypedDict, total=False):
    """The fields of ``Settings`` as keywords; ``prior`` may be a network, ``repeat`` a scan, ``energy`` an energy."""

    delta: str | float
    quantile: float | None
    repeat: str | os.PathLike[str] | Scan | None
    model_error: str | float
    method: str
    window: str | None
    prior: str | os.PathLike[str] | nn.Module
    energy: str | Energy
    regularise: str | None
    weight: float | None
    iterations: int | None
    looks: int | None
    operator: str | None
    device: str | None
    most_attenuation: float | None
    geometry: str | os.PathLike[str] | None
    center: str | float | None
    row: int | None
    image: int | None
    all_rows: bool
    bin: int
    detectors_first: bool | None
    every: int
    size: int | None
    pixel_mm: float | None
    correct: str | None
    z_mm: float | None
    patient_position: str | None


@checked
def reconstruct(
    scan: Scan | Simulated | str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    direction: Direction | None = None,
    progress: Report | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Spreads | None = None,
    **options: Unpack[Options],
) -> Reconstruction:
    """Reconstruct an image and prove, from the image alone, whether it explains the data to within delta.

    Args:
        scan: What was measured or simulated, or the file or folder it is in (``read_scan``).
        settings: All options in one value; ``options`` change single ones of them.
        direction: Where to go from a point, in the network's place: any callable from a point ``p`` (with ``p.u``,
            ``p.gradient``, ``p.residual``) to a tensor of the shape of ``p.u``, ``[1, 1, rows, columns]``. Whatever it
            returns, the energy falls, and the image is certified alike.
        progress: Any callable that takes a ``Progress``, such as ``print``.
        checkpoint: A file, ``.safetensors``, that keeps what is done about once a minute: after a crash or ``kill -9``
            the same call goes on from there, to the same bytes. Gone once this returns.
        executor: Of a volume measured in space, the processes that share its views
            (``ctrecon.workbench.stack.cluster.Cluster``); the result has the same bytes. None for this process.
        **options: The fields of ``Settings``. ``prior`` may also be a network, a ``torch.nn.Module`` from
            ``[1, 5, rows, columns]`` to ``[1, 1, rows, columns]``, ``repeat`` a scan, and ``energy`` any
            ``ctrecon.energies.base.Energy`` of images ``[1, 1, rows, columns]``.

    Returns:
        Image, residual, certificate and history, certified or not.

    Raises:
        SettingError: An option that is out of its range, or that the method has no use for.
        InputError: A file or scan that cannot be used.
        GeometryError, OperatorError, WeightsError: A grid, projector or network that cannot be had.

    """
    place = None if checkpoint is None else Path(checkpoint)
    if place is not None:
        if place.suffix != ".safetensors":
            raise SettingError(f"checkpoint {place} must end in .safetensors")
        check_writable(place)
    found = reconstruct_checked(
        scan, settings, None, direction=direction, progress=progress, checkpoint=place, executor=executor, **options
    )
    if place is not None:
        remove_checkpoint(place)
    return found


def reconstruct_checked(
    scan: Scan | Simulated | str | os.PathLike[str],
    settings: Settings | None,
    accept: Callable[[Scan], None] | None,
    *,
    direction: Direction | None = None,
    progress: Report | None = None,
    checkpoint: Path | None = None,
    executor: Spreads | None = None,
    **options: Unpack[Options],
) -> Reconstruction:
    """As ``reconstruct``; ``accept`` sees the scan once it is read, and raises where it cannot become what is asked.

    ``checkpoint`` stays when this returns, until the result is written.
    """
    began = time.monotonic()
    if isinstance(scan, Simulated):
        scan = scan.scan
    network, second, energy = options.get("prior"), options.get("repeat"), options.get("energy")
    plain = dict(options)
    if isinstance(network, nn.Module):
        plain["prior"] = f"{GIVEN}a {type(network).__name__}"
    if isinstance(second, Scan):
        plain["repeat"] = GIVEN + second.source
    if isinstance(energy, Energy):
        plain["energy"] = f"{GIVEN}a {type(energy).__name__}"
    if direction is not None:
        plain["prior"] = f"{GIVEN}the direction {getattr(direction, '__qualname__', type(direction).__name__)}"
    settings = dataclasses.replace(Settings() if settings is None else settings, **plain)  # type: ignore[arg-type]
    ready, file = (apply_to_scan(scan, settings), None) if isinstance(scan, Scan) else read_as(scan, settings)
    if executor is not None and not ready.in_space:
        raise SettingError(
            f"{ready.source}: other processes share the views of a volume that was measured in space, or all slices of "
            "a stack, and this is one image; drop executor (--workers, --scheduler), or add --all-slices"
        )
    if accept is not None:
        accept(ready)
    if not isinstance(second, Scan):
        named = settings.repeat is not None and not settings.repeat.startswith(GIVEN)
        second = read_as(str(settings.repeat), settings)[0] if named else None
    with nullcontext() if executor is None else executor.elsewhere() as elsewhere:
        concluded = run(
            ready, settings, second=second, network=network if isinstance(network, nn.Module) else None,
            direction=direction, energy=energy if isinstance(energy, Energy) else None, source=file, progress=progress,
            began=began, checkpoint=checkpoint, elsewhere=elsewhere,
        )  # fmt: skip
    return Reconstruction(concluded)


def read_as(path: str | os.PathLike[str], settings: Settings) -> tuple[Scan, Path | None]:
    """The scan in a file as the settings want it, and that file; a folder has no hash of its own. Raises InputError."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"a scan is a ctrecon.Scan or the name of a file, got {type(path).__name__}")
    asked = ("geometry", "row", "image", "all_rows", "bin", "detectors_first", "z_mm", "patient_position")
    how: dict[str, Any] = {name: getattr(settings, name) for name in asked}
    if settings.correct is not None:  # before the axis is sought and views are chosen
        scan = as_asked(read_scan(path, **how), settings)
    else:
        scan = read_scan(
            path, every=settings.every, size=settings.size, pixel_mm=settings.pixel_mm, center=settings.center, **how
        )
    return scan, None if Path(path).is_dir() else Path(path)


def _signature() -> inspect.Signature:
    """That of ``reconstruct`` with every option by name and default, for help and completion."""
    own = list(inspect.signature(reconstruct).parameters.values())[:-1]
    given = inspect.signature(Settings).parameters.values()
    return inspect.Signature([*own, *given], return_annotation="Reconstruction")


reconstruct.__signature__ = _signature()  # type: ignore[attr-defined]
