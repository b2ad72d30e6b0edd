"""Files are written whole or not at all, and a place that cannot be written is named in one line."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from ctrecon.errors import InputError, OutputError
from ctrecon.io.write import write_array
from ctrecon.support.atomic import atomic_files, atomic_write
from ctrecon.support.folders import new_folder


def sinogram(seed=0):
    return np.random.default_rng(seed).random((12, 17))


def test_atomic_write_replaces_whole_files_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.npy"
    write_array(path, sinogram())
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), sinogram())
    write_array(path, sinogram(1).astype(np.float32)[:, ::2])
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), sinogram(1).astype(np.float32)[:, ::2])
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_atomic_write_interrupted(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(error), atomic_write(path) as temporary:  # noqa: PT012
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("step", ["before", "between", "after"])
def test_a_folder_interrupted_at_any_step_of_the_swap_stays_as_it_was(tmp_path, monkeypatch, step):
    folder, replace, count = tmp_path / "out", os.replace, []
    folder.mkdir()
    (folder / "a.txt").write_text("before")

    def interrupted(source, target):
        count.append(target)
        if step == "before" or len(count) == 2:
            if step == "after":
                replace(source, target)
            raise KeyboardInterrupt
        return replace(source, target)

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:  # noqa: PT012
        patch.setattr(os, "replace", lambda source, to: (replace if len(count) > 1 else interrupted)(source, to))
        with new_folder(folder, ours=lambda name: True, overwrite=True) as partial:
            (partial / "a.txt").write_text("after")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (folder / "a.txt").read_text() == "before"


def test_atomic_write_on_a_full_disk(tmp_path):
    words = r"a\.txt: cannot be written: the disk is full; free some space"
    with pytest.raises(OutputError, match=words), atomic_write(tmp_path / "a.txt") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_does_not_take_reading_errors_for_its_own(tmp_path):
    with pytest.raises(TimeoutError), atomic_write(tmp_path / "a.txt"):
        raise TimeoutError(errno.ETIMEDOUT, "reading something else")
    assert list(tmp_path.iterdir()) == []


def test_a_file_too_large_for_the_system_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputError, match="larger than allowed"):
            write_array(tmp_path / "a.npy", np.zeros((100, 100)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    cases = {
        tmp_path / "missing" / "a.npy": "the folder does not exist",
        tmp_path: "it is a folder",
        tmp_path / "file" / "a.npy": "part of the path is a file",
        tmp_path / ("x" * 300 + ".npy"): "name is too long",
    }
    if Path("/dev/null").exists():
        cases[Path("/dev/null")] = "a device"
    for path, words in cases.items():
        with pytest.raises(OutputError, match=words):
            write_array(path, sinogram())
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_protected_folder(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(OutputError, match="no permission"):
            write_array(tmp_path / "a.npy", sinogram())
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_the_mask_is_respected(tmp_path):
    write_array(tmp_path / "new.npy", sinogram())
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "new.npy").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_refused_and_where_it_leads_stays_as_it_was(tmp_path, there):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if there:
        (elsewhere / "real.npy").write_bytes(b"mine")
    (tmp_path / "link.npy").symlink_to(elsewhere / "real.npy")
    with pytest.raises(OutputError, match=r"it is a link to .*real\.npy, and links are not followed"):
        write_array(tmp_path / "link.npy", sinogram())
    assert (tmp_path / "link.npy").is_symlink()
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [b"mine"] * there


def write_three(folder, text, *, remove=("c",)):
    with atomic_files() as place:
        for name in ("a", "b"):
            place(folder / name).write_text(text)
        for name in remove:
            place.remove(folder / name)


def state(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_several_files_appear_together_and_what_is_stale_goes(tmp_path):
    write_three(tmp_path, "new")
    assert state(tmp_path) == {"a": "new", "b": "new"}
    (tmp_path / "c").write_text("stale")
    write_three(tmp_path, "newer")
    assert state(tmp_path) == {"a": "newer", "b": "newer"}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), OSError(errno.EACCES, "no"), KeyboardInterrupt()])
def test_an_error_at_any_step_of_the_swap_undoes_it(tmp_path, monkeypatch, error):
    """Every call that changes a name fails once, before and after the disk did it."""
    before = {"a": "old", "b": "old", "c": "old"}
    real, steps = os.replace, 5
    for k in range(2 * steps):
        for name, text in before.items():
            (tmp_path / name).write_text(text)
        calls = []

        def failing(source, target, k=k, calls=calls):
            calls.append(target)
            if len(calls) == k // 2 + 1:
                if k % 2:
                    real(source, target)
                raise error
            real(source, target)

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            write_three(tmp_path, "new")
        monkeypatch.setattr(os, "replace", real)
        assert state(tmp_path) == before, k
    write_three(tmp_path, "new")
    assert state(tmp_path) == {"a": "new", "b": "new"}


@pytest.mark.parametrize("bad", [np.array([object()]), np.array([1j]), np.array(["a"])])
def test_only_numbers_are_written(tmp_path, bad):
    with pytest.raises(InputError):
        write_array(tmp_path / "a.npy", bad)
    assert list(tmp_path.iterdir()) == []
