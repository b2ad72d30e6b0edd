"""Mutated files, thousands of them: each is read, or refused in one line, in bounded time and memory.

    python -m tests.fuzz_dicom --cases 20000 --seed 1

Every case is decided by the seed and its number, so ``--only NUMBER`` repeats it. Cases run in a process of their own
with an address-space limit; the parent notices one that hangs (10 s, in which
other jobs do not count) or dies (a decoder in C can), and goes on.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from child_time import ChildTime

DATA = Path(os.environ.get("CTRECON_DATA", Path(__file__).parents[2] / "shared" / "data"))
SECONDS, ADDRESS_SPACE, GROWTH_MIB = 10, 3 << 30, 200
INTERESTING = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)


def seeds(data: Path = DATA) -> list[tuple[str, bytes]]:
    """All DICOM files, those in archives too, and a few small scans of the other formats."""
    files: list[tuple[str, bytes]] = []
    for path in sorted((data / "dicom").rglob("*")):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                files += [(name, archive.read(name)) for name in sorted(archive.namelist())]
        elif path.is_file():
            files.append((path.name, path.read_bytes()))
    # One of a series is as good as all.
    by_size = {(len(content), name[:2]): (name, content) for name, content in files}
    return sorted(by_size.values()) + _scans()


def _scans() -> list[tuple[str, bytes]]:
    import h5py
    import numpy as np
    import scipy.io

    values = np.random.default_rng(0).random((12, 16)).astype(np.float32)
    made: list[tuple[str, bytes]] = []

    def add(name: str, write: Callable[[io.BytesIO], object]) -> None:
        stream = io.BytesIO()
        write(stream)
        made.append((name, stream.getvalue()))

    add("scan.npy", lambda s: np.save(s, values))
    add("scan.npz", lambda s: np.savez(s, sinogram=values))
    add("scan.mat", lambda s: scipy.io.savemat(s, {"sinogram": values, "m": values, "A": np.eye(3)}))

    def exchange(stream: io.BytesIO) -> None:
        with h5py.File(stream, "w") as file:
            for name in ("data", "data_white", "data_dark"):
                file[f"exchange/{name}"] = np.full((12, 2, 16), 900 if name != "data_dark" else 3, np.uint16)
            file["exchange/theta"] = np.arange(12.0) * 15

    add("scan.h5", exchange)
    return made


def mutate(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """One to four mutations, most of them near the start of the file or of the pixel data, where headers are."""
    body = bytearray(content)
    pixels = max(0, content.find(b"\xe0\x7f\x10\x00"))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        first, width = rng.choice(((0, 400), (0, 3000), (0, len(content)), (pixels, 200), (pixels, 2000)))
        at = min(len(body) - 1, first + rng.randrange(width))
        kind = rng.randrange(8)
        if kind == 0:
            body[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            for _ in range(rng.randrange(1, 64)):
                body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del body[at:]
        elif kind == 3:
            body[at : at + 4] = struct.pack(rng.choice("<>") + "L", rng.choice(INTERESTING))
        elif kind == 4:
            body[at : at + 2] = struct.pack("<H", rng.choice(INTERESTING) & 0xFFFF)
        elif kind == 5:
            del body[at : at + rng.randrange(1, 200)]
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            body[at : at + rng.choice((0, 100, 5000))] = other[start : start + rng.randrange(1, 5000)]
        else:
            body[at:at] = body[at : at + rng.randrange(1, 300)] * rng.randrange(1, 20)
        if not body:
            body = bytearray(b"\0")
    return bytes(body)


def case(number: int, seed: int, files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    rng = random.Random(f"{seed}/{number}")
    name, content = rng.choice(files)
    return name, mutate(rng, content, [other for _, other in files])


def examine(name: str, content: bytes) -> str:
    """What became of a case: ``read`` or ``refused``. Whatever else is raised is a bug and passes through."""
    from ctrecon.dicom.common.files import Source
    from ctrecon.dicom.deidentify.files import deidentified_bytes
    from ctrecon.dicom.deidentify.identity import Identity
    from ctrecon.dicom.images.images import read_volume_from
    from ctrecon.errors import CtreconError
    from ctrecon.io.arrays import read_scan

    if name.startswith("scan."):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            return _outcome(lambda: read_scan(path), CtreconError)
    _outcome(lambda: deidentified_bytes("file", content, Identity(secret=bytes(16))), CtreconError)
    return _outcome(lambda: read_volume_from([Source("file", lambda: content)], "file"), CtreconError)


def _outcome(act: Callable[[], object], refusal: type[Exception]) -> str:
    try:
        act()
    except refusal as error:
        if "\n" in str(error) or len(str(error)) > 1000:
            raise RuntimeError("a refusal that is not one short line") from error
        return "refused"
    return "read"


def work(first: int, last: int, seed: int) -> None:
    """The child: one line per case, ``number outcome``, or ``number BUG`` and the traceback on stderr."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    files = seeds()
    # Imports take seconds where the machine is busy; they are nobody's hang.
    for name, content in (files[0], *_scans()):
        examine(name, content)
    # Libraries warn by quoting the file, so a warning that escapes is a patient's name in a log.
    warnings.simplefilter("error")
    for number in range(first, last):
        print(number, "begins", flush=True)
        try:
            outcome = examine(*case(number, seed, files))
        except Exception:
            traceback.print_exc()
            outcome = "BUG"
        print(number, outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)


def run(cases: int, seed: int, first: int = 0) -> dict[str, list[int]]:
    """All cases; which numbers were read, refused, hung, died, or were bugs, and by how much the memory grew."""
    found: dict[str, list[int]] = {kind: [] for kind in ("read", "refused", "BUG", "hung", "died", "grew")}
    at, last = first, first + cases
    while at < last:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz_dicom", "--work", f"{at}:{last}",
             "--seed", str(seed)],
            stdout=subprocess.PIPE, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        at = _follow(child, at, last, found)
    return found


def _follow(child: subprocess.Popen[bytes], at: int, last: int, found: dict[str, list[int]]) -> int:
    assert child.stdout is not None
    memory: list[int] = []
    pending, spent, allowed = b"", ChildTime(child.pid), 120
    while at < last:
        # The first answer waits for the imports.
        ready = spent.ready(child.stdout.fileno(), allowed)
        chunk = os.read(child.stdout.fileno(), 1 << 16) if ready else b""
        if not chunk:
            found["hung" if not ready else "died"].append(at)
            print(f"case {at} {'hung' if not ready else 'died'}", file=sys.stderr)
            at += 1
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            number, outcome, *peak = line.decode().split()
            spent.begin()
            allowed = SECONDS
            if outcome != "begins":
                found[outcome].append(int(number))
                memory.append(int(peak[0]))
                at = int(number) + 1
    child.kill()
    child.wait()
    child.stdout.close()
    warm = 300
    if len(memory) > 2 * warm and memory[-1] - memory[warm] > GROWTH_MIB:
        found["grew"].append(memory[-1] - memory[warm])
    return at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--work")
    options = parser.parse_args()
    if options.work:
        work(*(int(part) for part in options.work.split(":")), seed=options.seed)
        return 0
    if options.only is not None:
        print(examine(*case(options.only, options.seed, seeds())))
        return 0
    found = run(options.cases, options.seed, options.first)
    print({kind: len(numbers) for kind, numbers in found.items()})
    bad = {kind: found[kind] for kind in ("BUG", "hung", "died", "grew") if found[kind]}
    print(bad or "nothing wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
