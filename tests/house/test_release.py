"""What a release says of itself is the same in every place that says it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CONDA_NAMES = {"torch": "pytorch", "SimpleITK": "simpleitk", "matplotlib": "matplotlib-base"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version_everywhere() -> None:
    version = PYPROJECT["tool"]["setuptools_scm"]["fallback_version"]
    assert PROJECT["dynamic"] == ["version"], "the version comes from the tags"
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version)
    latest = re.search(r"^## (\S+) \((\S+)\)$", text("CHANGELOG.md"), re.MULTILINE)
    assert latest is not None
    cited = yaml.safe_load(text("CITATION.cff"))
    assert [latest[1], cited["version"]] == [version, version]
    assert latest[2] in (cited["date-released"], "unreleased")
    assert f"| Version | {version} |" in text("docs/conformance.md")
    assert yaml.safe_load(text(".ci/conda/recipe.yaml"))["context"]["version"] == version


def test_the_conda_recipe_has_the_same_dependencies() -> None:
    wanted = ["python >=3.11"]
    for one in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", one).groups()  # type: ignore[union-attr]
        wanted.append(f"{CONDA_NAMES.get(name, name)} {bound}")
    assert yaml.safe_load(text(".ci/conda/recipe.yaml"))["requirements"]["run"] == wanted


def test_the_container_asks_for_extras_and_commands_that_exist() -> None:
    said = text(".ci/container/Containerfile")
    (extras,) = re.findall(r'^ARG EXTRAS="(.*)"$', said, re.MULTILINE)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert PROJECT["scripts"] == {"ctrecon": "ctrecon_edn:main"}
    assert 'ENTRYPOINT ["ctrecon"]' in said
