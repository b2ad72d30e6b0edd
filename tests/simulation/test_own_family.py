"""Phantoms of a user's own: what a file must do, and that each way not to do it is told in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.simulation.own_family import read_family
from ctrecon.workbench.simulate import simulate

DISCS = Path(__file__).resolve().parents[2] / "docs" / "static" / "discs.py"
HEAD = "from ctrecon.phantoms import Ellipse, Phantom\nimport numpy as np\n"
DISC = "Ellipse(center=(0, 0), semi_axes=({0}, {0}), value={1})"


def drawing(*discs: tuple[float, float]) -> str:
    shapes = ", ".join(DISC.format(radius, value) for radius, value in discs)
    return f"{HEAD}def sample(rng):\n    return Phantom(({shapes},))\n"


WRONG = {
    "is no program": ("def sample(rng:\n", "cannot be run: SyntaxError"),
    "fails as it is read": ("1 / 0\n", "cannot be run: ZeroDivisionError"),
    "has no function": ("rng = 3\n", "has no function sample"),
    "fails as it draws": ("def sample(rng):\n    return missing\n", "sample(rng) fails: NameError"),
    "takes nothing": ("def sample():\n    return 1\n", "sample(rng) fails: TypeError"),
    "draws no phantom": ("def sample(rng):\n    return rng.random((8, 8))\n", "returns a ndarray"),
    "draws nothing": (drawing((0.5, 0.0)), "some must be above 0"),
    "draws what is not finite": (drawing((0.5, float("1e999"))).replace("inf", "float('inf')"), "some must be above"),
    "takes a hole away twice": (drawing((0.9, 1.0), (0.3, -1.0), (0.2, -1.0)), "negative somewhere (-1)"),
    "draws too large": (drawing((1.2, 1.0)), "reaches out of the unit disc"),
    "draws by another chance": (
        drawing((0.9, 1.0)).replace("value=1.0", "value=np.random.default_rng().random()"), "under the same seed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_with_a_file_is_told(why: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text, told = WRONG[why]
    path.write_text(text)
    with pytest.raises(InputError) as found:
        read_family(path)
    said = str(found.value)
    assert said.startswith(f"{path}: ")
    assert told in said
    assert "\n" not in said.removeprefix(str(path))


def test_what_is_no_python_file_is_told(tmp_path: Path) -> None:
    for name, told in (("mine.txt", "a Python file with"), ("mine.py", "there is no such file")):
        with pytest.raises(InputError, match=told):
            read_family(tmp_path / name)


def test_a_file_draws_what_it_says_and_travels_to_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(drawing((0.9, 1.0), (0.3, -1.0)))
    family = pickle.loads(pickle.dumps(read_family(path)))
    image = family.sample(np.random.default_rng(1)).image(Grid(rows=41, columns=41, pixel_mm=0.05))
    assert family.name == "mine"
    assert image[20, 20] == 0
    assert image[20, 30] == 1


def test_the_discs_of_the_tutorial_are_a_file_of_fifty_lines_whose_holes_do_not_overlap() -> None:
    assert len(DISCS.read_text().splitlines()) <= 50
    family, grid = read_family(DISCS), Grid(rows=60, columns=60, pixel_mm=1 / 30)
    images = [family.sample(np.random.default_rng(seed)).image(grid) for seed in range(40)]
    assert min(image.min() for image in images) > -1e-6
    assert max(image.max() for image in images) < 1 + 1e-6
    filled = [image.sum() / images[0].size for image in images]
    assert max(filled) - min(filled) > 0.1


def test_such_a_phantom_is_scanned_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(drawing((0.9, 1.0)))
    made = simulate(path, size=24, views=12, seed=3)
    assert made.truth[12, 12] > 0
    line = ["simulate", "--phantom", str(path), "--size", "24", "--views", "12", "--seed", "3"]
    result = CliRunner().invoke(cli, [*line, "-o", str(tmp_path / "scan.npz")])
    assert result.exit_code == 0, result.output
    assert np.array_equal(np.load(tmp_path / "scan.truth.npy"), made.truth)
    refused = CliRunner().invoke(cli, ["simulate", "--phantom", "walrus", "-o", str(tmp_path / "other.npz")])
    assert refused.exit_code == 2
    assert "'walrus' is not one of" in refused.output
