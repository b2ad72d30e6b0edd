"""A listening node: what comes in is processed once and delivered once, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from pacs_nodes import Listening, Sink, run, wait_for
from pacs_objects import NAME, PATIENT, ct, processing, study

pytest.importorskip("pynetdicom")


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def began(marks: Path) -> int:
    return len(list(marks.glob("began*")))


def ended(marks: Path) -> int:
    return len(list(marks.glob("ended*")))


def test_a_study_is_processed_and_delivered_and_nothing_says_whose_it_is(tmp_path: Path, marks: Path) -> None:
    options = ("--command", processing(marks), "--quiet", 0.3, "--allow", "CTRECON")
    with Sink() as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        assert run("dicom", "echo", "--to", node.node).exit_code == 0
        sent = run("dicom", "send", study(tmp_path / "one", 1, 4), "--to", node.node)
        assert sent.exit_code == 0, sent.output
        assert sent.output == "4 stored (0x0000)\n"
        wait_for(lambda: node.studies("done"))
        assert len(sink.got) == 3
        assert set(sink.comments.values()) == {"from 4 objects"}
        # The same study once more is nothing new.
        assert run("dicom", "send", tmp_path / "one", "--to", node.node).exit_code == 0
        wait_for(lambda: "was done before" in node.log)
        # One that fails is put aside with its reason and holds up none.
        assert run("dicom", "send", study(tmp_path / "bad", "bad", 2), "--to", node.node).exit_code == 0
        assert run("dicom", "send", study(tmp_path / "two", 2, 2), "--to", node.node).exit_code == 0
        wait_for(lambda: len(node.studies("done")) == 2)
        (failed,) = wait_for(lambda: node.studies("failed"))
        said = run("dicom", "queue", node.folder).output
        assert "exit code 1: no projections" in said
        retried = run("dicom", "queue", node.folder, "--retry", failed)
        assert retried.exit_code == 0, retried.output
        wait_for(lambda: node.log.count("processing failed") == 2)
        assert node.end() == 0
        assert "ended in good order" in node.log
        log = node.log
    assert len(sink.got) == 6
    assert set(sink.got.values()) == {1}
    assert ended(marks) == 2
    for secret in (NAME, PATIENT, NAME.split("^")[0], "2.25."):
        assert secret not in log
    names = [str(path.relative_to(tmp_path)) for path in (tmp_path / "queue").rglob("*")]
    assert not any("2.25" in name for name in names)
    assert (tmp_path / "queue").stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_objects_that_come_late_make_the_study_anew_with_all_of_them(tmp_path: Path, marks: Path) -> None:
    options = ("--command", processing(marks), "--quiet", 0.1)
    with Sink() as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        study(tmp_path / "one", 1, 3)
        assert run("dicom", "send", tmp_path / "one", "--to", node.node).exit_code == 0
        wait_for(lambda: len(node.studies("done")) == 1)
        assert run("dicom", "send", ct(tmp_path / "late.dcm", 1, number=9), "--to", node.node).exit_code == 0
        wait_for(lambda: len(sink.got) == 6)
        assert sorted(sink.comments.values()) == ["from 3 objects"] * 3 + ["from 4 objects"] * 3
        # An object's UID stands for one content, for ever.
        other = run("dicom", "send", ct(tmp_path / "other.dcm", 1, number=9, seed=5), "--to", node.node)
        assert other.exit_code == 3
        assert "0xC002" in other.output


def kill_when(node: Listening, point: str, sink: Sink, marks: Path) -> None:
    def reached() -> bool:
        sending = list((node.folder / "sending").glob("*/delivered"))
        return {
            "arriving": lambda: any((node.folder / "incoming").glob("*/input/*/*.dcm")),
            "running": lambda: began(marks) == 1,
            "between objects of the result": lambda: any((node.folder / "running").glob("*/output/*/0.dcm")),
            "sending": lambda: bool(sending) and sending[0].read_text().count("\n") == 1,
            "unconfirmed": lambda: len(sink.got) == 3,
        }[point]()

    wait_for(reached, f"for {point}")
    node.kill()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "point", ["arriving", "running", "between objects of the result", "sending", "unconfirmed"]
)
def test_killed_at_any_point_a_study_gives_one_result(point: str, tmp_path: Path, marks: Path) -> None:
    options = ("--command", processing(marks, pause=0.15), "--quiet", 0.3)
    objects = study(tmp_path / "one", 1, 3)
    with Sink(slow_s=0.15) as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        assert run("dicom", "send", objects, "--to", node.node).exit_code == 0
        kill_when(node, point, sink, marks)
        node.start()
        wait_for(lambda: node.studies("done"))
        assert node.end() == 0
    # Each start of the processing makes objects with UIDs of its own: three of them are one result, no more.
    assert len(sink.got) == 3
    assert set(sink.comments.values()) == {"from 3 objects"}
    # What was on the way when the node died is sent again under the same UID, which a PACS knows as the same object.
    assert sum(sink.got.values()) <= (4 if point in ("sending", "unconfirmed") else 3)
    assert ended(marks) == 1
    assert began(marks) == (2 if point in ("running", "between objects of the result") else 1)
    assert not any([*(tmp_path / "queue" / state).iterdir()] for state in ("incoming", "ready", "running", "sending"))


@pytest.mark.long
def test_killed_between_objects_the_sender_repeats_and_nothing_is_doubled(tmp_path: Path, marks: Path) -> None:
    options = ("--command", processing(marks), "--instances", 4, "--quiet", 600)
    objects = study(tmp_path / "one", 1, 4)
    with Sink() as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        for path in sorted(objects.iterdir())[:2]:
            assert run("dicom", "send", path, "--to", node.node).exit_code == 0
        node.kill()
        node.start()
        assert not sink.got
        assert run("dicom", "send", objects, "--to", node.node).exit_code == 0
        wait_for(lambda: node.studies("done"))
        assert set(sink.comments.values()) == {"from 4 objects"}
    assert len(sink.got) == 3


def test_work_of_a_killed_node_ends_with_it(tmp_path: Path, marks: Path) -> None:
    with Sink() as sink:
        options = ("--command", processing(marks, pause=1.0), "--quiet", 0)
        with Listening(tmp_path / "queue", sink.node, options) as node:
            assert run("dicom", "send", study(tmp_path / "one"), "--to", node.node).exit_code == 0
            wait_for(lambda: began(marks) == 1)
            pid = int(next(iter(children(node.process.pid))))
            node.kill()
            wait_for(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state_of(pid), "for its end")
    assert ended(marks) == 0


def children(pid: int) -> list[str]:
    return [word for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_destination_that_is_gone_gets_the_result_when_it_is_back(tmp_path: Path, marks: Path) -> None:
    with Sink() as sink:
        pass
    options = ("--command", processing(marks), "--quiet", 0, "--retries", 0)
    with Listening(tmp_path / "queue", sink.node, options) as node:
        assert run("dicom", "send", study(tmp_path / "one"), "--to", node.node).exit_code == 0
        wait_for(lambda: "not delivered yet" in node.log)
        # In good order in the middle of it: nothing is lost either.
        assert node.end() == 0
        with sink:
            node.start()
            wait_for(lambda: node.studies("done"))
            assert len(sink.got) == 3
        assert ended(marks) == 1


def test_processing_that_is_ended_by_sigterm_is_done_again_and_does_not_count(tmp_path: Path, marks: Path) -> None:
    options = ("--command", processing(marks, pause=0.5), "--quiet", 0)
    with Sink() as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        assert run("dicom", "send", study(tmp_path / "one"), "--to", node.node).exit_code == 0
        wait_for(lambda: began(marks) == 1)
        assert node.end() == 0
        (key,) = node.studies("ready")
        assert (node.folder / "ready" / key / "attempts").read_text() == "0"
        assert ended(marks) == 0
        node.start()
        wait_for(lambda: node.studies("done"))
    assert len(sink.got) == 3


def test_without_a_command_it_is_ctrecon_that_reconstructs(tmp_path: Path) -> None:
    with Sink() as sink, Listening(tmp_path / "queue", sink.node, ("--quiet", 0)) as node:
        # Images are no projections: ctrecon itself says so, in one line, and the study is put aside.
        assert run("dicom", "send", study(tmp_path / "one"), "--to", node.node).exit_code == 0
        wait_for(lambda: node.studies("failed"))
        assert "exit code 2: ctrecon: " in run("dicom", "queue", node.folder).output
        assert not sink.got


@pytest.mark.long
def test_processing_that_takes_too_long_or_writes_nothing_fails(tmp_path: Path) -> None:
    silent = "sh -c 'sleep 60; : {input} {output}'"
    cases = ((silent, "no progress for 1 s", 1), ("true {input} {output}", "no DICOM", 9))
    for command, words, limit in cases:
        folder = tmp_path / words.replace(" ", "")
        options = ("--quiet", 0, "--command", command, "--time-limit", limit)
        with Listening(folder, "X@127.0.0.1:1", options) as node:
            assert run("dicom", "send", ct(tmp_path / "1.dcm"), "--to", node.node).exit_code == 0
            wait_for(lambda node=node: node.studies("failed"))
            assert words in run("dicom", "queue", folder).output


@pytest.mark.long
def test_a_result_that_is_not_certified_is_sent_and_the_log_says_so(tmp_path: Path) -> None:
    for code, said in ((3, True), (0, False)):
        command = f"sh -c 'cp {{input}}/*.dcm {{output}}; exit {code}'"
        options = ("--quiet", 0, "--command", command)
        with Sink() as sink, Listening(tmp_path / f"queue{code}", sink.node, options) as node:
            assert run("dicom", "send", study(tmp_path / "one"), "--to", node.node).exit_code == 0
            wait_for(lambda node=node: node.studies("done"))
            assert ("NOT certified" in node.log) == said
        assert len(sink.got) == 3


def test_a_destination_that_refuses_is_given_up_after_a_while(tmp_path: Path, marks: Path) -> None:
    from ctrecon.dicom.network.listener import Listener, Rules
    from ctrecon.dicom.network.node import Connection, Node
    from ctrecon.dicom.network.objects import read_header
    from ctrecon.dicom.network.queue import Limits, Queue
    from ctrecon.dicom.network.study_folder import retry

    lines: list[str] = []
    queue = Queue(tmp_path / "queue", Limits(free_bytes=0))
    path = ct(queue.arriving / "1.dcm")
    key = queue.add(path, read_header(path))
    queue.complete(key)
    work = queue.begin(key)
    assert work is not None
    for k in (1, 2):
        ct(work / "output" / f"{k}.dcm", number=k)
    queue.processed(key)
    with Sink(refuse=0xA900) as sink:
        to = Node.parse(sink.node)
        rules = Rules(most_refusals=3, first_pause_s=0.01)
        listener = Listener(queue, Connection(), to, lines.append, rules=rules)
        outcomes = [listener.delivery.send_one(key, attempt) for attempt in (1, 2, 3)]
        assert outcomes == [False, False, True]
        assert "2 data set does not match its SOP class (0xA900)" in lines[-1]
        assert queue.studies("failed") == [key]
        sink.refuse = 0
        # Tried again, it is delivered without being processed anew.
        assert retry(queue.folder, key) == "sending"
        assert listener.delivery.send_one(key, 1)
        assert queue.studies("done") == [key]
        assert sum(sink.got.values()) == 2
    queue.close()


@pytest.mark.parametrize("debug", [False, True])
def test_the_log_says_where_an_error_came_from_and_no_value(tmp_path: Path, debug: bool) -> None:
    from ctrecon.dicom.network.listener import Listener
    from ctrecon.dicom.network.node import Connection, Node
    from ctrecon.dicom.network.queue import Limits, Queue

    lines: list[str] = []
    queue = Queue(tmp_path / "queue", Limits(free_bytes=0))
    listener = Listener(queue, Connection(), Node.parse("A@127.0.0.1:1"), lines.append, debug=debug)
    listener.stop.set()

    def broken(_: str) -> None:
        raise KeyError(NAME)

    assert listener._guarded(broken, "k" * 40) is False
    assert listener._guarded(listener.delivery.send_one, "no/such") is False
    assert "broken was interrupted: KeyError" in lines[0]
    assert ("dicom/network/listener.py:" in lines[0]) == debug or "at dicom/network/listener.py:" in lines[0]
    assert "TypeError" in lines[1]
    assert "listener.py:" in lines[1]
    assert all(NAME not in line for line in lines)
    queue.close()


@pytest.mark.long
def test_work_that_is_killed_from_outside_is_begun_again_until_it_comes_no_further(tmp_path: Path) -> None:
    steps = "mkdir -p ../.x.journal; n=$(ls ../.x.journal | wc -l); [ $n -ge 5 ] || : > ../.x.journal/$n"
    ends = {"done": "[ $n -ge 5 ] || kill -9 $$; cp {input}/*.dcm {output}", "failed": "kill -9 $$; : {input} {output}"}
    for state, end in ends.items():
        command = f"sh -c '{steps if state == 'done' else ':'}; {end}'"
        with Listening(tmp_path / state, "X@127.0.0.1:1", ("--quiet", 0, "--command", command)) as node:
            assert run("dicom", "send", ct(tmp_path / "1.dcm"), "--to", node.node).exit_code == 0
            wait_for(lambda node=node, state=state: node.studies("sending" if state == "done" else state))
            assert node.log.count("ended by signal 9, from outside; begun again") == (5 if state == "done" else 3)
