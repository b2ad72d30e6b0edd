"""Every command that writes refuses what is there already, before any work, unless --overwrite asks for it."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
from all_commands import COMMANDS
from click.testing import CliRunner
from command_lines import ADD, READ, WRITES

from ctrecon.cli.main import cli


def run(*words: object) -> click.testing.Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_every_command_is_one_of_these_and_those_that_write_take_the_option() -> None:
    """A new one says whether it writes: its options alone do not show it, an audit writes beside what it reads."""
    assert sorted((*WRITES, *ADD, *READ)) == sorted(COMMANDS), "each stands in one of them, once"
    for name, command in COMMANDS.items():
        assert any("--overwrite" in option.opts for option in command.params) == (name in WRITES), name


def too_early(*_: object, **__: object) -> None:
    raise AssertionError("the work was begun")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    scan = folder / "scan.npz"
    assert run("simulate", "--size", 24, "--views", 24, "-o", scan).exit_code == 0
    for name, delta in (("u.npy", "10%"), ("w.npy", "12%")):
        assert run("reconstruct", scan, "--delta", delta, "--method", "cgls", "-o", folder / name).exit_code == 0
    return folder


@pytest.mark.parametrize("name", WRITES)
def test_what_is_there_is_refused_before_any_work(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in made.iterdir():
        Path(path.name).write_bytes(path.read_bytes())
    Path("photo.png").write_bytes((made / "u.png").read_bytes())
    Path("puzzles.csv").write_text("." * 81 + "\n")
    Path("raw").mkdir()
    Path("series").mkdir()
    # What audits, comparisons and members begin with.
    monkeypatch.setattr("ctrecon.auditing.evidence.Evidence.smoothest", property(too_early))
    monkeypatch.setattr("ctrecon.auditing.members.ground.Ground.smoothest", property(too_early))
    words, names = WRITES[name]
    for there in names.split():
        Path(there).parent.mkdir(exist_ok=True)
        Path(there).write_text("mine")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        done = run(*name.split(), *words.split())
        assert done.exit_code == 2, (there, done.output)
        assert "--overwrite" in done.output, there
        assert "Traceback" not in done.output
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        # A link is no way round it, and --overwrite does not follow one.
        if not Path(there).parent.name:
            kept = tmp_path / "kept"
            kept.write_text("mine")
            Path(there).unlink()
            Path(there).symlink_to(kept)
            done = run(*name.split(), *words.split(), "--overwrite")
            assert done.exit_code == 2, (there, done.output)
            assert "links are not followed" in done.output
            assert kept.read_text() == "mine"
            kept.unlink()
        Path(there).unlink()


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "words",
    [
        "simulate --size 24 --views 24 -o s.npz", "simulate --size 24 --views 24 -o s.npy",
        "reconstruct scan.npz --delta 10% --method cgls -o v.npy", "report u.npy -o page.html",
        "sudoku 000000061050700000200009000000800300401000000600000000000060080030040000020000700 -o s.csv",
        "synthesise-projections --columns 16 --rows 4 --per-turn 8 --turns 1 -o raw",
        "superres photo.png --prior none --scale 2 -o p.png",
    ],
)  # fmt: skip
def test_asked_for_it_is_replaced(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in made.iterdir():
        Path(path.name).write_bytes(path.read_bytes())
    Path("photo.png").write_bytes(picture())
    first = run(*words.split())
    assert first.exit_code == 0, first.output
    listed = sorted(path.name for path in tmp_path.rglob("*"))
    assert run(*words.split()).exit_code == 2
    again = run(*words.split(), "--overwrite")
    assert again.exit_code == 0, again.output
    assert sorted(path.name for path in tmp_path.rglob("*")) == listed


def picture() -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def test_a_run_that_misses_delta_says_that_the_certificate_of_the_earlier_one_went(made: Path, tmp_path: Path) -> None:
    image = tmp_path / "u.npy"
    words = ("reconstruct", made / "scan.npz", "--method", "cgls", "-o", image)
    assert run(*words, "--delta", "10%").exit_code == 0
    certificate = tmp_path / "u.certificate.json"
    before = certificate.read_bytes()
    missed = ("--delta", "0.9%", "--iterations", 1, "--no-preview")
    assert run(*words, *missed).exit_code == 2
    assert certificate.read_bytes() == before
    done = run(*words, *missed, "--overwrite")
    assert done.exit_code == 3, done.output
    if not certificate.exists():
        assert f"removed: {certificate}" in done.output
    assert not (tmp_path / "u.png").exists(), "the picture was of another image"


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        ("reconstruct scan.npz -o out", ("out.npy", "out.nii.gz", "out/")), ("simulate -o out", (".npz", ".npy")),
        ("report u.npy -o out", (".html",)), ("superres photo.png -o out", (".png", ".tif")),
        ("sudoku " + "." * 81 + " -o out", (".csv",)), ("train-phantoms -o out", ("out.safetensors",)),
        ("benchmark -o out", ("out.json",)), ("reproduce coverage -o out", ("out.json",)),
    ],
)  # fmt: skip
def test_a_name_without_a_suffix_is_refused_with_the_choices(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, choices: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in made.iterdir():
        Path(path.name).write_bytes(path.read_bytes())
    Path("photo.png").write_bytes(picture())
    done = run(*words.split())
    assert done.exit_code == 2
    assert all(choice in done.output for choice in choices), done.output
    assert not Path("out").exists()
