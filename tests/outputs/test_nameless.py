"""A series' history names no file, wherever one stood, and says the rest as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import ctrecon as ct
from ctrecon.outputs.history import History, read_history
from ctrecon.outputs.nameless import UNNAMED, nameless
from ctrecon.reconstruction.settings import GIVEN, Settings

NAME = "Kowalczyk"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = ct.simulate("chest", beam="parallel", size=32, views=30, seed=1)
    image = tmp_path_factory.mktemp("made") / "u.npy"
    return read_history(ct.reconstruct(made.scan, method="cgls", device="cpu").save(image, preview=False)["history"])


@pytest.mark.parametrize(
    "where",
    [
        {"source": f"{NAME} Zofia.npz", "notes": (f"geometry from {NAME} Zofia.json", f"by {NAME} Zofia.data.json.")},
        {"source": f"{NAME}-1954", "notes": (f"views of {NAME}-1954: all",)},
        {"notes": (f"counts with the blank scan {NAME}.fits", f"the open beam is 7/{NAME}/air.his, scaled")},
        {"delta_from": f"from {NAME}.npz", "reason": f"as '{NAME}.npy' ended", "says_little": (f"({NAME}.h5)",)},
        *(
            {"settings": Settings(**{key: value}).to_dict(), "notes": (f"{key} {NAME}_2.npz; 3 views",)}
            for key in ("repeat", "geometry", "prior") for value in (f"/a/{NAME}/{NAME}_2.npz", f"{NAME}_2")
        ),
        {"settings": Settings(repeat=f"{GIVEN}/a/{NAME}.npz").to_dict()},
    ],
)  # fmt: skip
def test_no_name_is_left(told: History, where: dict[str, object], tmp_path: Path) -> None:
    named = dataclasses.replace(told, **where)
    assert NAME.encode() in named.to_bytes()
    path = tmp_path / "s.history.json"
    path.write_bytes(nameless(named).to_bytes())
    assert NAME.encode() not in path.read_bytes()
    assert UNNAMED in path.read_text()
    read_history(path)


def test_everything_else_stays(told: History) -> None:
    settings = Settings(geometry="parallel-180", correct="zingers,rings").to_dict()
    notes = ("0.35 of 3.1 mm, e.g. here; ratio 1.5e3.", "a mean (Azevedo et al. 1990)")
    plain = dataclasses.replace(told, settings=settings, notes=notes)
    assert dataclasses.replace(nameless(plain), source=told.source) == plain
