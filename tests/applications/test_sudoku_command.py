"""``ctrecon sudoku`` solves, refuses and gives up, for one puzzle and for files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sudoku_puzzles import EASY, IMPOSSIBLE, SOLUTION, ask


@pytest.mark.long
def test_the_command_solves_refuses_and_gives_up(tmp_path: Path) -> None:
    result = ask(EASY)
    assert result.exit_code == 0
    assert "5 3 4 | 6 7 8 | 9 1 2" in result.output
    result = ask(IMPOSSIBLE, "--iterations", "7", "--json")
    assert result.exit_code == 3
    summary = json.loads(result.output)
    assert summary["puzzles"][0]["solution"] is None
    assert summary["puzzles"][0]["energy"] > 1e-4
    assert summary["puzzles"][0]["solutions"] == 0
    said = ask(IMPOSSIBLE, "--iterations", "3").output
    assert "not solved after 3 iterations: energy" in said
    assert "no grid keeps the rules and its givens" in said
    # Without two rows of a band the two can be exchanged: several solutions, one of them given and said so.
    several = EASY[:27] + "0" * 54
    result = ask(several, "--json")
    assert json.loads(result.output)["puzzles"][0]["solutions"] == "several"
    assert "more than one grid" in ask(several).output
    result = ask("66" + EASY[2:])
    assert result.exit_code == 2
    assert "row 1, column 1 and row 1, column 2" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    wrong = ((EASY[:-1],), ("no-such.csv",), (EASY, "-o", str(tmp_path / "x.txt")), (EASY, "--prior", "ct-default"))
    for words in wrong:
        result = ask(*words)
        assert result.exit_code == 2, words
        assert len(result.stderr.splitlines()) == 1


def test_the_command_on_files(tmp_path: Path) -> None:
    path, output = tmp_path / "p.csv", tmp_path / "o.csv"
    path.write_text(f"quizzes,solutions\n{EASY},{SOLUTION}\n{IMPOSSIBLE},{SOLUTION}\n")
    result = ask(str(path), "--iterations", "8", "--solutions", "-o", str(output))
    assert result.exit_code == 3
    assert SOLUTION in result.output
    assert "1 of 2 solved" in result.output
    with output.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["solution"] for row in rows] == [SOLUTION, ""]
    assert [row["solutions"] for row in rows] == ["1", "0"]
    before = path.read_bytes()
    assert ask(str(path), "-o", str(path)).exit_code == 2
    assert path.read_bytes() == before
    path.write_text(f"{EASY}\n11{'0' * 79}\n")
    result = ask(str(path))
    assert result.exit_code == 2
    assert "puzzle 2: two 1s in one row" in result.stderr
