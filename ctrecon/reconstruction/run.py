"""From a scan and settings to a conclusion: the order of things, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ctrecon.classical.box import Proving
from ctrecon.corrections import corrected
from ctrecon.descent.directions import Direction
from ctrecon.diagnosis.doubts import DOUBT, a_sign, doubts_about
from ctrecon.energies.base import Energy
from ctrecon.errors import OperatorError, SettingError
from ctrecon.measurement.center import with_center
from ctrecon.measurement.dead import without_stuck
from ctrecon.measurement.delta import Delta, delta_for, mean_of_repeats
from ctrecon.measurement.patient_position import lying
from ctrecon.measurement.scan import Scan
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.operators.choose import OperatorName, Uses
from ctrecon.reconstruction.checkpoint_file import CheckpointFile
from ctrecon.reconstruction.conclude import Conclusion, conclude
from ctrecon.reconstruction.methods import load_method, settings_of
from ctrecon.reconstruction.needs import check_needs
from ctrecon.reconstruction.objective import Objective, judged
from ctrecon.reconstruction.objectives import ENERGIES, load_energy, load_regulariser
from ctrecon.reconstruction.pieces import batch_key, job_key
from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem, prepare
from ctrecon.reconstruction.settings import FROM_FILE, GIVEN, Settings
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, Within
from ctrecon.support.elsewhere import Elsewhere
from ctrecon.support.meanwhile import Meanwhile
from ctrecon.support.progress import Progress, Report

QUANTILE = 0.95


@dataclass
class Once:
    """What is the same for all slices of one scan, made for the first and kept: weights and ``||A||``.

    The norm serves as a scale only (of steps, of what the network sees), and beams that differ by a fraction of an
    angle differ in it by less than its estimate is off. ``problem``: the last, whose operator serves those of the same
    geometry.
    """

    network: nn.Module | None = None
    norm: float | None = None
    problem: Problem | None = None


def apply_to_scan(scan: Scan, settings: Settings) -> Scan:
    """The scan with the settings that concern it. Raises SettingError for those that only a file has a use for."""
    plain = Settings()
    for name in FROM_FILE:
        if getattr(settings, name) != getattr(plain, name):
            raise SettingError(f"{name} says how a file is read, and {scan.source} is at hand already; drop it")
    return as_asked(without_stuck(scan), settings)


def as_asked(scan: Scan, settings: Settings) -> Scan:
    """The scan after its corrections, centred, of the views and on the grid that the settings ask for."""
    if settings.correct is not None:
        scan = corrected(scan, settings.correct)
    scan = lying(with_center(scan, settings.center).every(settings.every), settings.patient_position)
    return scan.with_grid(size=settings.size, pixel_mm=settings.pixel_mm)


def run(
    scan: Scan,
    settings: Settings,
    *,
    second: Scan | None = None,
    network: nn.Module | None = None,
    direction: Direction | None = None,
    energy: Energy | None = None,
    once: Once | None = None,
    source: Path | None = None,
    uses: Uses = "many",
    item: str = "",
    progress: Report | None = None,
    began: float | None = None,
    checkpoint: Path | None = None,
    elsewhere: Elsewhere | None = None,
) -> Conclusion:
    """Reconstruct ``scan`` as it is by the settings of delta, method and operator; say what is proved of the image.

    Args:
        scan: Ready: centred, on its grid.
        settings: Those of file and scan are not looked at.
        second: A repeat; then the image is of the mean of both.
        network: In the place of ``settings.prior``.
        direction: In the place of a network.
        energy: In the place of ``settings.energy``: any that takes images ``[1, 1, rows, columns]``.
        once: Kept from slice to slice.
        source: The file of the data, whose hash the certificate notes.
        uses: ``"few"`` where the operator serves this image alone, of many.
        item: Of many, such as ``slice 3 of 40``; for ``progress``.
        progress: Hears of notes, delta, every iteration, and the proof.
        began: A ``time.monotonic()`` from which ``seconds`` count; None for now.
        checkpoint: The file that keeps now and then what is done, and that a run of the same scan and settings goes on
            from; it stays. None keeps nothing.
        elsewhere: Of a volume measured in space, who computes projector and filtered back projection.

    Returns:
        The image with its evidence.

    Raises:
        CtreconError: As ``delta_for``, ``prepare``, the method and ``conclude`` do.
    """
    clock = Clock(time.monotonic() if began is None else began)
    objects = {"prior": network if direction is None else direction, "repeat": second, "energy": energy}
    for name, value in objects.items():
        said = getattr(settings, name)
        if value is None and isinstance(said, str) and said.startswith(GIVEN):
            raise SettingError(f"{name} was {said}; it is not kept in settings, so give it again")
    if checkpoint is not None and (direction is not None or energy is not None):
        raise SettingError("a direction or an energy of your own may remember what no file holds; drop checkpoint")
    once = Once() if once is None else once
    saying = Saying(progress, item)
    if network is None and direction is None and settings.prior is None:
        settings = settings.of_scan(in_space=scan.in_space)
        if settings.prior is not None:
            saying.sentence("note", f"note: the network's weights are {settings.prior}")
    method = load_method(settings.method)
    problem = ready(
        scan, settings, once, second=second, uses=uses, saying=saying, clock=clock, elsewhere=elsewhere
    )

    def solved(problem: Problem) -> Conclusion:
        given = keywords(settings, method, once, problem, network, direction, energy)
        kept = _kept_in(checkpoint, problem, settings, once, saying)
        earlier = kept.recall(problem.device) or {}
        if "outcome" in earlier:
            outcome = Outcome.resumed(earlier["outcome"])
        else:
            outcome = method(
                problem, **given, watch=partial(saying.iterated, problem.delta.value),
                checkpoint=Within(kept, "method"),
            )  # fmt: skip
        kept.offer(lambda: {"outcome": outcome.state})
        clock.note("reconstruct")
        return conclude(
            problem, outcome, source=None if source is None else str(source), began=clock.began,
            method=settings.method, timings=clock.seconds, watch=partial(saying.proved, problem.delta.value),
        )  # fmt: skip

    with Meanwhile(partial(a_sign, problem.scan)) as sign:
        try:
            concluded = solved(problem)
        except torch.OutOfMemoryError as why:
            if settings.device is not None:
                raise OperatorError(
                    f"{scan.source}: the device {settings.device} ran out of memory; use --device cpu, or fewer pixels "
                    "by --size"
                ) from why
            problem = prepare(
                problem.scan, problem.delta, device="cpu", most_attenuation=settings.most_attenuation, uses=uses,
                norm=once.norm,
            )  # fmt: skip
            note = "the GPU ran out of memory, so this was begun anew on the CPU"
            problem = replace(problem, scan=replace(problem.scan, notes=(*problem.scan.notes, note)))
            saying.sentence("note", f"note: {note}")
            concluded = solved(problem)
        if not concluded.certified:
            sign.drop()  # then every cause is tried
        return doubted(concluded, settings, saying, sign=sign.result)


def _kept_in(
    path: Path | None, problem: Problem, settings: Settings, once: Once, saying: Saying
) -> Checkpoint:
    """The checkpoint of a job, known by the hash of all that its image follows from."""
    if path is None:
        return NOWHERE

    def key() -> str:
        job = job_key(settings, once.network, device=problem.device.type)
        return batch_key(job, [problem.scan], more=("one image", problem.delta.value, problem.delta.norm))

    return CheckpointFile(path, key, say=lambda text: saying.sentence("note", f"note: {text}"))


def ready(
    scan: Scan, settings: Settings, once: Once, *, second: Scan | None = None, uses: Uses = "many", saying: Saying,
    clock: Clock, elsewhere: Elsewhere | None = None,
) -> Problem:
    """The problem of a scan: its delta, its operator. Raises as ``run``."""
    scan = scan.with_grid()
    check_needs(load_method(settings.method), scan)
    if settings.energy in ENERGIES:
        check_needs(load_energy(settings.energy), scan)
    scan, delta = _delta(scan, second, settings)
    clock.note("read")
    for note in scan.notes:
        saying.sentence("note", f"note: {note}")
    saying.sentence("delta", f"delta = {delta.value:.6g} ({delta.norm}; {delta.how})")
    problem = prepare(
        scan, delta, operator=cast("OperatorName | None", settings.operator), device=settings.device,
        most_attenuation=settings.most_attenuation, uses=uses, norm=once.norm, shared=once.problem,
        elsewhere=elsewhere,
    )  # fmt: skip
    once.norm = problem.operator.norm()
    if uses == "many":
        once.problem = problem
    for note in problem.scan.notes[len(scan.notes) :]:
        saying.sentence("note", f"note: {note}")
    clock.note("prepare")
    return problem


def keywords(
    settings: Settings, method: Any, once: Once, problem: Problem, network: nn.Module | None = None,
    direction: Direction | None = None, energy: Energy | None = None,
) -> dict[str, Any]:
    """What a method is called with for a problem."""
    given = settings.of_method() | _by_hand(settings, method, once, network, direction)
    objective = _objective(problem, settings, energy)
    return given if objective is None else given | {"objective": objective}


def doubted(
    concluded: Conclusion, settings: Settings, saying: Saying, *, look: bool = True,
    sign: Callable[[], bool] | None = None,
) -> Conclusion:
    """With what seems wrong with the scan. ``look``: also where the image is certified; ``sign``: as it was seen."""
    doubts = None
    structured = concluded.structure is not None and concluded.structure.structured
    if structured or look or not concluded.certified:
        doubts = doubts_about(concluded.problem.scan, met=concluded.certified and not structured, sign=sign)
    # Notes, so that it stands in history, report and series, too.
    said = [] if doubts is None else [f"{DOUBT}{doubts.findings[0]}"]
    if structured and concluded.structure is not None:
        said.append(f"{DOUBT}{concluded.structure.said}")
    if concluded.below_zero is not None:
        said.append(f"{DOUBT}{concluded.below_zero}")
    for note in said:
        saying.sentence("note", note)
    if said:
        scan = replace(concluded.problem.scan, notes=(*concluded.problem.scan.notes, *said))
        concluded = replace(concluded, problem=replace(concluded.problem, scan=scan))
    return replace(concluded, settings=settings, doubts=doubts)


def _delta(scan: Scan, second: Scan | None, settings: Settings) -> tuple[Scan, Delta]:
    quantile = QUANTILE if settings.quantile is None else settings.quantile
    error = str(settings.model_error)
    if second is None:
        return scan, delta_for(scan, str(settings.delta), quantile, model_error=error)
    return mean_of_repeats(scan, second, quantile, model_error=error)


def _objective(problem: Problem, settings: Settings, energy: Energy | None) -> Objective | None:
    """What the descent lowers; None for the misfit itself. Settings refuse one for methods that take none."""
    if energy is None and settings.energy == "least-squares" and settings.regularise is None:
        return None
    if "objective" not in settings_of(load_method(settings.method)):
        raise SettingError(f"--method {settings.method} lowers an energy of its own; drop energy or change method")
    if energy is None:
        found = load_energy(settings.energy)(problem)
    else:
        # Its scale is not known: the pull of noise is taken for that of least squares.
        found = replace(load_energy("least-squares")(problem), energy=judged(problem, energy), level=None)
    if settings.regularise is None:
        return found
    return load_regulariser(settings.regularise)(problem, found, settings.weight)


def _by_hand(
    settings: Settings, method: Any, once: Once, network: nn.Module | None, direction: Direction | None
) -> dict[str, Any]:
    """Network and direction as the method takes them; weights by name are read once."""
    used = settings_of(method)
    if direction is not None:
        if "direction" not in used:
            raise SettingError(f"--method {settings.method} follows no direction; drop direction, or use energy")
        return {"direction": direction}
    if "prior" not in used:
        if network is not None:
            raise SettingError(f"--method {settings.method} asks no network; drop prior, or use energy")
        return {}
    if once.network is None:
        assert network is not None or settings.prior is not None
        once.network = load_ct_network(str(settings.prior))[0] if network is None else network
    return {"prior": once.network}


@dataclass(frozen=True)
class Saying:
    """What ``progress`` hears of one image."""

    progress: Report | None
    item: str = ""

    def sentence(self, stage: str, text: str) -> None:
        self._tell(stage=stage, unit="", done=0, said=text)

    def iterated(self, delta: float, record: IterationRecord) -> None:
        values = {"residual": record.residual, "delta": delta, "E": record.energy}
        self._tell(stage="descent", unit="iteration", done=record.iteration, values=values)

    def proved(self, delta: float, now: Proving) -> None:
        values = {"best residual": now.misfit, "none below": now.bound, "delta": delta}
        self._tell(stage="proof", unit="delta missed; does any image meet it? step", done=now.iteration, values=values)

    def _tell(self, **facts: Any) -> None:
        if self.progress is not None:
            self.progress(Progress(item=self.item, **facts))


class Clock:
    """Seconds by what was done since the note before."""

    def __init__(self, began: float) -> None:
        self.began, self.seconds = began, dict[str, float]()
        self._last = began

    def note(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what], self._last = now - self._last, now
