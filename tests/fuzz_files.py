"""Every reader's files and folders, mutated: each is read with sound values, or refused in one line that names a file.

    python -m tests.fuzz_files --cases 300 --seed 1

A case is its source, seed and number, so ``--only SOURCE --first NUMBER --cases 1`` repeats it. Cases run in a child
with 4 GiB of addresses; a case that takes more than 60 s, ends the child, makes it grow by more than 600 MiB or opens
the file that lies outside is told.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent / room) for room in ("", "io")]

import numpy as np  # noqa: E402
from child_time import ChildTime  # noqa: E402
from fuzz_kinds import KINDS, Kind, Scene  # noqa: E402
from fuzz_sources import Source, sources  # noqa: E402

from ctrecon.errors import CtreconError  # noqa: E402

SECONDS, ADDRESS_SPACE, GROWTH_MIB = 60, 4 << 30, 600


@dataclass
class Found:
    """How many were read and refused, and what was wrong, a line each."""

    read: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


def sane(result: Any) -> None:
    """Whatever a reader hands out is numbers of some size, and finite. Raises ValueError otherwise."""
    for name in ("sinogram", "values", "levels", "hu", "affine"):
        values = getattr(result, name, None)
        if isinstance(values, np.ndarray):
            mask = getattr(result, "mask", None)
            shown = values if mask is None or mask.shape != values.shape else np.where(mask, values, 0)
            if values.size == 0 or not bool(np.isfinite(shown).all()):
                raise ValueError(f"{name} of shape {values.shape} is empty or not finite")
    geometry = getattr(result, "geometry", None)
    if geometry is not None:
        vectors = geometry.to_vectors()
        if not all(bool(np.isfinite(one).all()) for one in (vectors.source, vectors.detector, vectors.u)):
            raise ValueError("the geometry is not finite")


def examine(source: Source, given: Path, names: set[str]) -> str:
    """``read`` or ``refused``; anything else is raised."""
    try:
        sane(source.read(given))
    except CtreconError as error:
        said = str(error)
        if "\n" in said or len(said) > 1000:
            raise RuntimeError(f"a refusal that is not one short line: {said[:300]!r}") from error
        if not any(name in said for name in names):
            raise RuntimeError(f"a refusal that names no file: {said[:300]!r}") from error
        return "refused"
    return "read"


def cases(source: Source, seed: int, numbers: range, place: Path) -> Iterator[tuple[int, str, str]]:
    """Number, outcome and what was wrong of each."""
    first = place / "sound"
    first.mkdir()
    given = source.build(first).relative_to(first)
    outside = place / "outside"
    os.mkfifo(outside)  # who opens it waits for ever
    others = tuple(p.read_bytes() for p in sorted(first.rglob("*")) if p.is_file())[:20]
    sane(source.read(first / given))
    for number in numbers:
        rng = random.Random(f"{seed}/{source.name}/{number}")
        folder = place / f"case{number}"
        shutil.copytree(first, folder, copy_function=os.link)
        scene = Scene(folder, folder / given, outside, others)
        done = ""
        for _ in range(rng.choice((1, 1, 1, 2))):
            done += next((f" {kind.__name__}" for kind in rng.sample(KINDS, len(KINDS)) if _done(kind, rng, scene)), "")
        names = {p.name for p in folder.rglob("*")} | {given.name, *(p.name for p in first.rglob("*")), folder.name}
        yield number, "begins", done
        try:
            outcome, said = examine(source, scene.given, {ascii(n)[1:-1] for n in names} | names), ""
        except Exception:
            outcome, said = "BUG", traceback.format_exc(limit=-4)
        yield number, outcome, said
        shutil.rmtree(folder)


def _done(kind: Kind, rng: random.Random, scene: Scene) -> bool:
    """Whether it could be: a second kind may meet what the first has spoiled."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(rng, scene)
    except Exception:  # libraries say of a damaged file whatever they like
        return False


def _child(source: Source, seed: int, numbers: range, place: Path, pipe: int) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = max(ADDRESS_SPACE, used + ADDRESS_SPACE // 2)  # the tests have more libraries than any command
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    warnings.simplefilter("error")
    with os.fdopen(pipe, "w") as out:
        for number, outcome, said in cases(source, seed, numbers, place):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            out.write(f"{number} {outcome} {peak} {said.encode('unicode_escape').decode()}\n")
            out.flush()


def run(source: Source, count: int, seed: int, first: int = 0, seconds: float = SECONDS) -> Found:
    """``count`` cases of one source, in children."""
    found, at = Found(), first
    while at < first + count:
        with tempfile.TemporaryDirectory() as place:
            ends, starts = os.pipe()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of threads, which wait meanwhile
                child = os.fork()
            if child == 0:
                code = 1
                try:
                    os.close(ends)
                    _child(source, seed, range(at, first + count), Path(place), starts)
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            os.close(starts)
            at = _follow(source.name, child, ends, at, first + count, found, seconds)
    return found


def _follow(name: str, child: int, pipe: int, at: int, last: int, found: Found, seconds: float) -> int:
    """Where to go on: behind a case that hung or ended the child."""
    doing, peak, pending, spent = "", 0, b"", ChildTime(child)
    while True:
        ready = spent.ready(pipe, seconds)
        chunk = os.read(pipe, 1 << 16) if ready else b""
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            number, outcome, now, said = line.decode().split(" ", 3)
            spent.begin()
            at = int(number)
            if outcome == "begins":
                doing, peak = said, peak or int(now)
                continue
            at += 1
            if outcome == "BUG":
                found.wrong.append(f"{name} {number}{doing}: {said}")
            else:
                setattr(found, outcome, getattr(found, outcome) + 1)
            if int(now) - peak > GROWTH_MIB:
                found.wrong.append(f"{name} {number}{doing}: grew by {int(now) - peak} MiB")
            peak = int(now)
    if not ready:
        os.kill(child, 9)
    os.close(pipe)
    _, status = os.waitpid(child, 0)
    if at < last:
        if not doing:
            found.wrong.append(f"{name}: the sound one is not read")
            return last
        found.wrong.append(f"{name} {at}{doing}: {'hangs' if not ready else f'ended the process ({status})'}")
        at += 1
    return at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    bad = 0
    for source in sources():
        if source.name in options.only or not options.only:
            found = run(source, options.cases // source.costs, options.seed, options.first)
            print(f"{source.name}: {found.read} read, {found.refused} refused, {len(found.wrong)} wrong", flush=True)
            for line in found.wrong:
                print("   ", line.replace("\\n", "\n        "), flush=True)
            bad += len(found.wrong)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
