"""A few mutated files of every reader, in a process of 4 GiB; the long run has hundreds of each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzz_files import Found, run
from fuzz_sources import Source, sources

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.io.formats import all_formats, format_of
from ctrecon.io.open_file import SUFFIXES
from ctrecon.io.pictures import LOSSLESS, MEDICAL, read_picture
from ctrecon.io.shots import SUFFIXES as SHOTS
from ctrecon.io.tiff import SUFFIXES as PAGES
from ctrecon.io.volume_names import VOLUME_SUFFIXES
from ctrecon.support.plain_file import plain_size, whole_file

SAME = {".hdf": ".h5", ".hdf5": ".h5", ".tiff": ".tif"}  # two names of one


@pytest.mark.parametrize("cases", [2, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_every_mutated_file_is_read_or_refused_in_one_line(cases, capfd):
    found = {source.name: run(source, cases // source.costs, 7) for source in sources()}
    assert [line for one in found.values() for line in one.wrong] == []
    tried = {source.name: cases // source.costs for source in sources()}
    assert {name: one.read + one.refused for name, one in found.items()} == tried
    assert sum(one.refused for one in found.values()) > 0.4 * sum(tried.values())
    assert capfd.readouterr().err == "", "a library spoke beside us"


def test_every_format_and_every_suffix_is_among_them(tmp_path):
    """By introspection: a format that is added has to have a file here."""
    formats, suffixes = set(), set()
    for k, source in enumerate(sources()):
        folder = tmp_path / str(k)
        folder.mkdir()
        given = source.build(folder)
        form = format_of(given)
        formats |= {form.name} if form is not None else set()
        suffixes |= {"".join(p.suffixes[-2:]) if p.name.endswith(".gz") else p.suffix for p in folder.rglob("*")}
    assert formats == {one.name for one in all_formats()}
    known = {*SUFFIXES, *SHOTS, *PAGES, *VOLUME_SUFFIXES, *MEDICAL, *LOSSLESS}
    assert {SAME.get(one, one) for one in known} <= suffixes


def test_what_is_wrong_would_be_seen(tmp_path):
    def build(folder: Path) -> Path:
        (folder / "a.txt").write_text("1 2 3")
        return folder / "a.txt"

    def read(path: Path) -> object:
        words = path.read_text().split()  # whatever is no text, or not there, is no line of ours
        if len(words) != 3:
            raise InputError("it holds another number of words")
        return [float(word) for word in words]

    found = run(Source("careless", build, read), 30, 1, seconds=1)
    said = "\n".join(found.wrong)
    assert "UnicodeDecodeError" in said
    assert "a refusal that names no file" in said
    assert "hangs" in said
    assert found.read > 0
    assert isinstance(found, Found)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "circle", "nothing", "large"])
def test_what_is_no_plain_file_is_refused_before_it_is_opened(kind, tmp_path):
    path = tmp_path / "x.txrm"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in ("device", "circle", "nothing"):
        path.symlink_to({"device": "/dev/zero", "circle": path, "nothing": "nowhere"}[kind])
    else:
        path.write_bytes(b"")
        os.truncate(path, 5 << 30)
    with pytest.raises(InputError, match=r"x\.txrm: .*;"):
        whole_file(path)
    with pytest.raises(InputError, match=r"x\.txrm"):
        read_scan(path)
    if kind == "large":
        assert plain_size(path) == 5 << 30
        with pytest.raises(InputError, match="too many"):
            read_picture(path.rename(tmp_path / "x.jpg"))
