"""The queue on disk: its bounds, its memory of what was done, and a crash before every change of the file system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pacs_nodes import ROOT
from pacs_objects import ct

from ctrecon.dicom.network.attempts import whole_series
from ctrecon.dicom.network.objects import read_header
from ctrecon.dicom.network.queue import ConflictError, FullError, Limits, Queue
from ctrecon.dicom.network.study_folder import retry
from ctrecon.errors import CtreconError, InputError

Add = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def queue(folder: Path) -> Iterator[Queue]:
    one = Queue(folder, Limits(most_bytes=20_000, most_studies=2, free_bytes=0))
    yield one
    one.close()


def add(queue: Queue, study: object = 1, number: int = 1, seed: int = 0) -> str:
    path = ct(queue.arriving / "one.dcm", study, number=number, seed=seed)
    try:
        return queue.add(path, read_header(path))
    finally:
        path.unlink(missing_ok=True)


def through(queue: Queue, key: str) -> str:
    """All the way to the end, if it can be begun."""
    outcome = queue.complete(key)
    if outcome == "ready":
        study = queue.begin(key)
        assert study is not None
        (study / "output" / "result.dcm").write_bytes(b"result")
        queue.processed(key)
        queue.finish(key)
    return outcome


def test_a_crash_before_any_change_of_the_file_system_loses_and_doubles_nothing(tmp_path: Path) -> None:
    objects = [ct(tmp_path / f"{k}.dcm", number=k) for k in (1, 2)]
    words = [sys.executable, str(Path(__file__).with_name("crash_everywhere.py")), str(tmp_path / "work")]
    done = subprocess.run(
        [*words, *map(str, objects)], capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40  # changes of the file system between the first object and the end


def test_it_is_bounded_in_bytes_and_studies(queue: Queue) -> None:
    add(queue, 1)
    add(queue, 2)
    with pytest.raises(FullError):
        add(queue, 3)
    count = 1
    while queue.bytes < 20_000 - 1_400:
        count += 1
        add(queue, 1, count)
    with pytest.raises(FullError):
        add(queue, 1, count + 1)
    sizes = [path.stat().st_size for path in queue.folder.rglob("*.dcm")]
    assert sum(sizes) == queue.bytes <= 20_000 < sum(sizes) + max(sizes)
    assert len(sizes) == count + 1


def test_a_disk_that_is_almost_full_takes_nothing(folder: Path) -> None:
    queue = Queue(folder, Limits(free_bytes=1 << 62))
    with pytest.raises(FullError):
        add(queue)
    queue.close()


def test_finished_studies_give_way_to_new_ones_and_are_still_known(queue: Queue) -> None:
    key = add(queue, 1)
    for number in range(2, 9):
        add(queue, 1, number)
    assert through(queue, key) == "ready"
    before = queue.bytes
    for number in range(1, 9):
        add(queue, 2, number)
    assert before < 20_000 < before + queue.bytes
    assert not (queue.at("done", key) / "input").exists()
    # All of it once more is known; a part that is new cannot be joined with what is gone, and that is said.
    assert through(queue, add(queue, 2, 9)) == "ready"
    for number in range(1, 9):
        add(queue, 1, number)
    assert queue.complete(key) == "known"
    with pytest.raises(ConflictError):
        add(queue, 1, 3, seed=1)
    add(queue, 1, 99)
    assert queue.complete(key) == "failed"
    assert "send all again" in (queue.at("failed", key) / "reason.txt").read_text()
    # ... and that helps.
    for number in range(1, 9):
        add(queue, 1, number)
    assert through(queue, key) == "ready"
    assert (queue.at("done", key) / "received.json").read_text().count(".dcm") == 9
    assert not queue.studies("failed")


def test_objects_during_the_work_wait_for_its_end(queue: Queue) -> None:
    key = add(queue, 1)
    assert queue.complete(key) == "ready"
    assert add(queue, 1, 2) == key  # not begun yet, so it is taken back
    assert not queue.studies("ready")
    assert queue.complete(key) == "ready"
    assert queue.begin(key)
    add(queue, 1, 3)
    assert queue.complete(key) == "later"
    with pytest.raises(ConflictError):
        add(queue, 1, 2, seed=1)
    queue.fail("running", key, "for the test")
    assert queue.complete(key) == "ready"
    assert len(list(queue.at("ready", key).glob("input/*/*.dcm"))) == 3


def test_work_that_ends_the_process_each_time_is_given_up(folder: Path) -> None:
    for attempt in range(5):
        queue = Queue(folder, Limits(most_attempts=3, free_bytes=0))
        if attempt == 0:
            queue.complete(add(queue))
        for key in queue.studies("ready"):
            assert (queue.begin(key) is not None) == (attempt < 3)
        queue.close()  # as if it had been killed
    queue = Queue(folder, Limits(free_bytes=0))
    (key,) = queue.studies("failed")
    assert "3 times" in (queue.at("failed", key) / "reason.txt").read_text()
    assert retry(folder, key) == "ready"
    assert queue.begin(key) is not None
    queue.close()


def test_one_process_at_a_time(queue: Queue) -> None:
    with pytest.raises(CtreconError, match="another process"):
        Queue(queue.folder)


@pytest.mark.parametrize("key", ["", ".", "..", "../incoming/x", "nothing"])
def test_only_a_failed_study_can_be_tried_again(queue: Queue, key: str) -> None:
    kept = add(queue)
    with pytest.raises(InputError, match="no failed study"):
        retry(queue.folder, key)
    assert queue.studies("incoming") == [kept]


def test_a_line_that_a_crash_cut_off_is_no_delivery(queue: Queue) -> None:
    key = add(queue)
    queue.complete(key)
    study = queue.begin(key)
    assert study is not None
    for name in ("a.dcm", "ab.dcm"):
        (study / "output" / name).write_bytes(b"x")
    queue.processed(key)
    queue.note_delivery(key, queue.output(key)[0])
    with (queue.at("sending", key) / "delivered").open("a") as stream:
        stream.write("ab.dcm")
    assert queue.delivered(key) == {"a.dcm"}


def test_work_that_was_broken_off_goes_on_from_its_journal_and_nothing_else_is_left(folder: Path) -> None:
    queue = Queue(folder, Limits(free_bytes=0))
    queue.complete(key := add(queue))
    for _ in range(2):
        study = queue.begin(key)
        assert study is not None
        output = study / "output"
        assert not (output / "half.dcm").exists()
        assert not (output / "series").exists()
        (output / ".series.journal").mkdir(exist_ok=True)
        (output / ".series.journal" / "piece.npy").write_bytes(b"done")
        (output / "half.dcm").write_bytes(b"half")
        (output / "series").mkdir()
        (output / ".x.journal").symlink_to(folder)
        queue.close()  # as if it had been killed
        queue = Queue(folder, Limits(free_bytes=0))
    study = queue.begin(key)
    assert study is not None
    assert [path.relative_to(study).as_posix() for path in sorted((study / "output").rglob("*"))] == [
        "output/.series.journal", "output/.series.journal/piece.npy",
    ]  # fmt: skip
    queue.back(key)
    assert (queue.at("ready", key) / "output" / ".series.journal" / "piece.npy").exists()
    queue.close()


def killed(queue: Queue) -> Queue:
    queue.close()
    return Queue(queue.folder, queue.limits)


def test_a_study_that_comes_further_each_time_is_never_given_up_and_one_that_does_not_is(folder: Path) -> None:
    queue = Queue(folder, Limits(most_attempts=3, free_bytes=0))
    queue.complete(key := add(queue))
    for start in range(10):  # the third start after a step is the last
        study = queue.begin(key)
        assert study is not None, start
        journal = study / "output" / ".series.journal"
        journal.mkdir(exist_ok=True)
        (journal / f"piece-{min(start // 3, 2)}").touch()
        (journal / f".piece-{start}.part").touch()  # what a crash cut off is no step
        queue = killed(queue)
    assert queue.begin(key) is None, "broken case: nothing new in three starts"
    assert "came no further" in (queue.at("failed", key) / "reason.txt").read_text()
    queue.close()


def test_a_series_that_is_whole_is_kept_until_more_of_it_comes(folder: Path) -> None:
    queue = Queue(folder, Limits(most_attempts=1, free_bytes=0))
    queue.complete(key := add(queue))
    study = queue.begin(key)
    assert study is not None
    (series,) = (path.name for path in (study / "input").iterdir())
    for name in (series, "half"):
        (study / "output" / name).mkdir()
    queue.whole(key, series, certified=False)
    queue = killed(queue)
    study = queue.begin(key)  # a whole series is a step
    assert study is not None
    assert [path.name for path in (study / "output").iterdir()] == [series]
    assert whole_series(study) == {series: False}
    queue = killed(queue)
    add(queue, 1, 2)
    assert whole_series(queue.at("incoming", key)) == {}
    queue.close()
