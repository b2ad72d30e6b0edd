"""What is done to a sound file or folder to make it an unsound one: each kind changes one file, or its name.

A kind is a function of a generator and a ``Scene``, by being in ``KINDS``; it returns False where the folder has
nothing of its sort. Files are replaced, never written into: the folder's may be links to the originals.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from fuzz_dicom import mutate

NUMBERS = (
    "0", "-1", "1", "nan", "NaN", "inf", "-inf", "1e308", "-1e308", "1e-308", "9e18", "9" * 30, "9" * 5000, "1e999",
    "0x10", "1_000", "\u0661\u0662", "1,5", "", "x", "2147483648", "4294967295", "-9223372036854775809",
    "1" + "0" * 400,
)  # fmt: skip
WORDS = (
    "", "..", ".", "/", "../..", "../outside", "/dev/zero", "/dev/stdin", "outside.h5", "a\nb", "a\0b", "\x1b[2J",
    "\u202etxt", "%s%n", "{0}", "$(id)", "x" * 70_000, "\ud7ff", "CON", "~", "*", "None", "__class__", "true",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), "",
    "x", "0", [], {}, [[]], [None], [1] * 70, {"a": 1}, [[1, 2], [3]], "../outside", "/dev/zero",
)  # fmt: skip
NAMES = ("\u00b2.tif", "p\u00b2.tif", "a\nb.tif", "\u0663.tif", "-rf.tif", "9" * 200 + ".tif", "\x1b[2J.xim", " .dcm",
         "p.TIF")  # fmt: skip

_LARGEST = 64 << 20


@dataclass(frozen=True)
class Scene:
    """``folder`` holds the mutated files; ``given`` is what the reader is given; ``outside`` nobody may open."""

    folder: Path
    given: Path
    outside: Path
    others: tuple[bytes, ...]

    def files(self) -> list[Path]:
        """Those that are still files of some bytes."""
        return sorted(p for p in self.folder.rglob("*")
                      if not p.is_symlink() and p.is_file() and 0 < p.stat().st_size < _LARGEST)  # fmt: skip

    def one(self, rng: random.Random, *, suffixes: tuple[str, ...] = ()) -> Path | None:
        """Some file; the given one, and what is not one of many alike, more often."""
        found = [p for p in self.files() if not suffixes or p.name.endswith(suffixes)]
        if not found:
            return None
        lonely = [p for p in found if sum(q.suffix == p.suffix for q in found) < 4] or found
        return rng.choice(rng.choice((found, lonely)))


Kind = Callable[[random.Random, Scene], bool]


def put(path: Path, content: bytes) -> bool:
    path.unlink()
    path.write_bytes(content)
    return True


def bytes_changed(rng: random.Random, scene: Scene) -> bool:
    path = scene.one(rng)
    return path is not None and put(path, mutate(rng, path.read_bytes(), list(scene.others)))


def numbers_changed(rng: random.Random, scene: Scene) -> bool:
    """Binary numbers become not a number, infinite, negative or huge."""
    path = scene.one(rng)
    if path is None or path.stat().st_size < 16:
        return False
    body = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 3))):
        kind = rng.choice("fdhiqHIQ")
        value: Any = rng.choice((float("nan"), float("inf"), -1e38, 1e30, -1.0, 0.0))
        if kind not in "fd":
            value = rng.choice((0, 1, 2 ** (8 * struct.calcsize(kind) - 1) - 1))
            value = -value if kind.islower() and rng.random() < 0.5 else value
        order, size = rng.choice("<>"), struct.calcsize(kind)
        at = rng.randrange(min(rng.choice((512, 4096, len(body))), len(body) - size + 1)) // size * size
        body[at : at + size] = struct.pack(order + kind, value)
    return put(path, bytes(body))


def cut_off(rng: random.Random, scene: Scene) -> bool:
    path = scene.one(rng)
    if path is None:
        return False
    content = path.read_bytes()
    return put(path, content[: rng.choice((0, 1, 8, rng.randrange(len(content) + 1), max(0, len(content) - 1)))])


def _text_of(path: Path) -> str | None:
    content = path.read_bytes()
    if len(content) > 1 << 20 or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def text_changed(rng: random.Random, scene: Scene) -> bool:
    """A number, a word or a line of a text becomes another, twice, or none."""
    texts = [p for p in scene.files() if _text_of(p) is not None]
    if not texts:
        return False
    path = rng.choice(texts)
    text = _text_of(path) or ""
    for _ in range(rng.choice((1, 1, 2))):
        way = rng.randrange(4)
        found = list(re.finditer(r"-?\d[\d.e+-]*" if way < 2 else r"[A-Za-z_][\w .]*", text))
        if way < 3 and found:
            one, pool = rng.choice(found), NUMBERS if rng.random() < (0.8 if way < 2 else 0.3) else WORDS
            text = text[: one.start()] + rng.choice(pool) + text[one.end() :]
        else:
            lines = text.splitlines(keepends=True) or [""]
            k = rng.randrange(len(lines))
            text = "".join(lines[:k] + lines[k : k + 1] * rng.choice((0, 2, 50)) + lines[k + 1 :])
    return put(path, text.encode("utf-8", "surrogatepass"))


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def json_changed(rng: random.Random, scene: Scene) -> bool:
    """A node of the tree becomes another value, goes, changes places with another, or is nested deeply."""
    path = scene.one(rng, suffixes=(".json", ".zarray", ".zgroup", ".zattrs"))
    if path is None:
        return False
    tree = json.loads(path.read_text())
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = _places(tree)
        if not places:
            break
        (where, key), (other, another) = rng.choice(places), rng.choice(places)
        way = rng.randrange(6)
        if way < 3:
            where[key] = rng.choice(VALUES)
        elif way == 3 and isinstance(where, dict):
            del where[key]
        elif way == 4:
            where[key], other[another] = json.loads(json.dumps((other[another], where[key])))
        else:
            for _ in range(rng.choice((1, 70))):
                where[key] = [where[key]]
    return put(path, json.dumps(tree).encode())


def xml_that_grows(rng: random.Random, scene: Scene) -> bool:
    """Entities that multiply or lead elsewhere, depth, and a tag of no end."""
    path = scene.one(rng, suffixes=(".xml",))
    if path is None:
        return False
    text = path.read_text()
    root = re.search(r"<(\w+)", text.partition("?>")[2] or text)
    name = root[1] if root else "a"
    laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 12))
    heads = (
        f'<!DOCTYPE {name} [<!ENTITY l0 "ha">{laughs}]><{name}>&l11;</{name}>',
        f'<!DOCTYPE {name} [<!ENTITY x SYSTEM "file://{scene.outside}">]><{name}>&x;</{name}>',
        f'<!DOCTYPE {name} SYSTEM "file://{scene.outside}">' + text.partition("?>")[2],
        f"<{name}>" * 100_000,
        f"<{name}>" + "<a>" * 50_000 + "</a>" * 50_000 + f"</{name}>",
        f'<{name} {" ".join(f"a{k}=" + chr(34) + chr(34) for k in range(20_000))}/>',
        f'<{name} xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{scene.outside}"/></{name}>',
        text.replace(">", f' a="{"x" * 1_000_000}">', 2),
    )
    return put(path, rng.choice(heads).encode())


def zip_repacked(rng: random.Random, scene: Scene) -> bool:
    """Members twice, with names that lead away, of other contents, or far larger than they are packed."""
    path = scene.one(rng, suffixes=(".npz",))
    if path is None:
        return False
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    way = rng.randrange(6)
    k = rng.randrange(len(members))
    name, content = members[k]
    if way == 0:
        members.append((name, content[: len(content) // 2]))
    elif way == 1:
        members[k] = (rng.choice(("../outside", "/outside", "a/../../b.npy", "", "x" * 60_000, "a\\b.npy")), content)
    elif way == 2:
        members[k] = (name, rng.choice(scene.others))
    elif way == 3:
        members[k] = (name, content + bytes(200_000_000))
    elif way == 4:
        members += [(f"m{n}.npy", content) for n in range(400)]
    else:
        members[k] = (name, mutate(rng, content, list(scene.others)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
                         compresslevel=1) as archive:  # fmt: skip
        for one, value in members:
            archive.writestr(zipfile.ZipInfo(one) if not one else one, value)
    return put(path, stream.getvalue())


def hdf5_rebuilt(rng: random.Random, scene: Scene) -> bool:
    """A dataset of another type, shape or place: in another file, of others, of nothing, of all memory."""
    from fuzz_hdf5 import rebuild

    path = scene.one(rng, suffixes=(".h5", ".nxs"))
    path = path or next((p for p in scene.files() if p.suffix == ".mat" and h5py.is_hdf5(p)), None)
    if path is None:
        return False
    copy = path.read_bytes()
    put(path, copy)
    rebuild(rng, path, scene.outside)
    return True


def place_taken(rng: random.Random, scene: Scene) -> bool:
    """Instead of a file a link, a device, a pipe, a folder, something endless, or nothing."""
    path = scene.one(rng)
    if path is None:
        return False
    path.unlink()
    way = rng.randrange(10)
    if way == 0:
        path.symlink_to(scene.outside)
    elif way == 1:
        path.symlink_to(path)
    elif way == 2:
        path.symlink_to("/dev/zero")
    elif way == 3:
        os.mkfifo(path)
    elif way == 4:
        path.mkdir()
    elif way == 5:
        path.write_bytes(b"")
        os.truncate(path, 6 << 30)  # takes no room on the disk
    elif way == 6:
        path.write_bytes(rng.choice(scene.others))
    elif way == 7:
        path.symlink_to("nowhere")
    elif way == 8:
        heads = (b"", b"\n", b"\xff" * 600, b"{}", b"[]", b"<a/>", b"PK\3\4", b"\x89HDF\r\n\x1a\n")
        path.write_bytes(rng.choice(heads))
    return True


def swapped(rng: random.Random, scene: Scene) -> bool:
    """Two files change places, or one is there twice."""
    files = scene.files()
    if len(files) < 2:
        return False
    one, other = rng.sample(files, 2)
    if rng.random() < 0.5:
        between = one.with_name(one.name + ".between")
        one.rename(between)
        other.rename(one)
        between.rename(other)
    else:
        (one.parent / f"{one.stem}_copy{one.suffix}").write_bytes(one.read_bytes())
    return True


def renamed(rng: random.Random, scene: Scene) -> bool:
    """A file that is not the given one has a name that nobody gives it, or one more has it."""
    files = [p for p in scene.files() if p != scene.given]
    if not files:
        return False
    one, name = rng.choice(files), rng.choice((*NAMES, *(p.stem + odd for p in files[:5] for odd in NAMES)))
    try:
        if rng.random() < 0.5:
            one.rename(one.with_name(Path(name).stem + one.suffix))
        else:
            (one.parent / name).write_bytes(one.read_bytes())
    except OSError:
        return False
    return True


def tail_long(rng: random.Random, scene: Scene) -> bool:
    """Far more bytes after the end, without taking room on the disk."""
    path = scene.one(rng)
    if path is None:
        return False
    content = path.read_bytes()
    put(path, content)
    os.truncate(path, rng.choice((len(content) + 1, 3 << 30, 40 << 30)))
    return True


KINDS: tuple[Kind, ...] = (
    bytes_changed, bytes_changed, bytes_changed, numbers_changed, numbers_changed, cut_off, text_changed, text_changed,
    json_changed, json_changed, xml_that_grows, zip_repacked, hdf5_rebuilt, hdf5_rebuilt, place_taken, swapped, renamed,
    tail_long,
)  # fmt: skip
