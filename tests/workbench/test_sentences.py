"""What is said about an image, wherever it is said: nothing more than is proved, and of an empty statement that it is.

One test reads everything that a reconstruction with an empty certificate prints; the other every sentence in the code.
"""

import ast
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dicom_series import need
from pydicom import dcmread
from report_cases import Page

import ctrecon
from ctrecon import audit, compare, reconstruct, simulate
from ctrecon.certificates.worth import worth_of
from ctrecon.cli.main import cli
from ctrecon.dicom.series.sr import CERTIFIED, NO, WORTH
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.history import read_history
from ctrecon.outputs.preview import image_title

# Said of an image, these are true only where the statement is not empty.
STRONG = re.compile(
    r"explains the|is certified to|slices? (is|are) certified|certified image|Certified: this|in the data\b|"
    r"data do not decide|data decide: |not decided: no image|gives back the|is brighter|is darker", re.IGNORECASE
)  # fmt: skip


class CutOff(Scan):
    """One whose object reaches beyond the detector, whatever its values."""

    undecided_beyond_mm = 3.0


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def said_of(folder, delta):
    """Everything that a person is shown of a reconstruction, by where it stands."""
    made = reconstruct(
        simulate("head", size=20, views=16, noise=0.03).scan, method="gradient", iterations=12, delta=delta
    )
    made.save(folder / "s.npy", preview=False)
    history = read_history(folder / "s.history.json")
    series = folder / "series"
    made.to_dicom(series, pictures=False, water_mu=0.02)
    made.report(folder / "s.html", image=folder / "s.npy", water_mu=0.02)
    page = Page((folder / "s.html").read_text())
    texts = {
        "str": str(made), "repr": repr(made), "html": made._repr_html_().split("<img")[0],
        "figure": image_title(made.conclusion) + made.show().get_suptitle(),
        "history": "; ".join(["says nothing: " + why for why in history.says_nothing] + list(history.says_little)),
        "verify": run("verify", folder / "s.npy").output,
        "verify --json": run("verify", folder / "s.npy", "--json").output,
        "report": page.words,
        "report's line": run("report", folder / "s.npy", "-o", folder / "again.html").output,
        "verify series": run("verify", series).output,
    }  # fmt: skip
    for path in series.glob("*.dcm"):
        ds = dcmread(path)
        texts[f"header of {path.name[:2]}"] = " ".join(
            str(ds.get(k, "")) for k in ("SeriesDescription", "DerivationDescription", "ImageComments")
        )
    report = dcmread(series / "report.dcm")
    slices = [item for item in report.ContentSequence if "ContentSequence" in item]
    texts["SR"] = " ".join(str(item.get("TextValue", "")) for part in slices for item in part.ContentSequence)
    coded = [
        item.ConceptCodeSequence[0].CodeValue for part in slices for item in part.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == CERTIFIED.value
    ]  # fmt: skip
    return made, texts, coded


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A folder with a reconstruction whose certificate says nothing, and all that is said of it."""
    folder = tmp_path_factory.mktemp("empty")
    return folder, *said_of(folder, "150%")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    return folder, *said_of(folder, "20%")


def test_nobody_is_left_with_a_strong_word_where_the_statement_is_empty(empty):
    folder, made, texts, coded = empty
    assert made.certified  # nothing true is refused
    assert made.conclusion.worth.nothing
    texts["report"] = texts["report"].replace("is in the data or only in the picture is a question", "")
    for where, text in texts.items():
        assert not STRONG.search(text), (where, STRONG.search(text), text)
        if where not in ("header of re", "header of ce", "header of ma"):
            assert "nothing" in text, (where, text)
    assert coded == [NO.value]
    assert WORTH.value in str(dcmread(folder / "series" / "report.dcm"))
    assert json.loads((folder / "s.history.json").read_text())["says_nothing"] == ["the image 0 meets delta as well"]
    assert json.loads(texts["verify --json"])["says_nothing"] == ["the image 0 meets delta as well"]


def test_an_honest_image_is_not_suspected_anywhere(honest):
    _, made, texts, coded = honest
    assert made.certified
    assert worth_of(made.certificate).said == ""
    for where, text in texts.items():
        assert "says nothing" not in text.replace("It says nothing about", ""), where  # a heading
        assert "says little" not in text, where
    assert coded != [NO.value]
    assert STRONG.search(texts["verify"])
    assert STRONG.search(texts["report"])


def test_the_pages_of_a_series_say_it_too(empty, honest):
    for (folder, *_), says_nothing in ((empty, True), (honest, False)):
        pdf = folder / "report.pdf"
        pdf.write_bytes(dcmread(folder / "series" / "report-pdf.dcm").EncapsulatedDocument)
        text = " ".join(
            subprocess.run([need("pdftotext"), pdf, "-"], capture_output=True, text=True, check=True).stdout.split()
        )
        assert ("true, but it says nothing" in text) is says_nothing
        assert "explain" not in text.split("What is proved")[0]
        assert "taken on trust" in text


def test_images_are_not_called_wrong_by_the_data_where_the_limits_alone_exclude_them(tmp_path):
    """Delta lets the image 0 go, so no range knows the data; a bright disc is beyond the largest value all the same."""
    made = reconstruct(
        simulate("head", size=20, views=16, noise=0.03).scan, method="gradient", iterations=12, delta="150%"
    )
    made.save(tmp_path / "a.npy", preview=False)
    lie = made.image.copy()
    lie[8:13, 8:13] = 9.0
    np.save(tmp_path / "b.npy", lie)
    found = compare(tmp_path / "a.npy", tmp_path / "b.npy", radius=2.0, gap=1.0, ring=2.0, discs=2, iterations=5)
    first = found.found.disputed[0]
    assert first.wrong == ("B",)
    assert first.nothing
    assert first.verdict.startswith("B is outside of the limits, whatever the data: the range says nothing of the data")
    assert replace(first, contrasts=(0.0, 0.0)).verdict.startswith("not decided: the range says nothing of the data: ")
    assert "the data decide in 0 of the 2 discs" in str(found)
    assert not STRONG.search(str(found).replace("the data decide in 0", ""))
    assert found.to_dict()["discs"][0]["says_nothing"]


def test_a_picture_of_an_object_that_is_cut_off_does_not_hide_that_its_certificate_says_nothing(empty, honest):
    titles = []
    for _, made, *_ in (empty, honest):
        scan = made.conclusion.problem.scan
        cut_off = replace(made.conclusion, problem=replace(made.conclusion.problem, scan=CutOff(**vars(scan))))
        titles.append(image_title(cut_off))
    assert titles == [
        "image; its certificate says nothing", "certified image; beyond the circle the data leave it open"
    ]  # fmt: skip


def test_a_range_of_nothing_is_no_verdict(tmp_path):
    made = reconstruct(
        simulate("head", size=20, views=16, noise=0.03).scan, method="gradient", iterations=12, delta="150%"
    )
    made.save(tmp_path / "s.npy", preview=False)
    found = audit(tmp_path / "s.npy", roi=(10, 10, 3), iterations=5, kappa=1.0, save=True)
    assert "true, but it says nothing: the image 0 meets delta as well" in str(found)
    assert "verdict: none, since the range says nothing" in str(found)
    assert "nothing, if the object" not in str(found)  # the condition of no verdict
    assert not STRONG.search(str(found))
    assert found.to_dict()["regions"][0]["says_nothing"]
    made.report(tmp_path / "s.html", image=tmp_path / "s.npy")
    page = Page((tmp_path / "s.html").read_text())
    assert "The certificate holds, but it says nothing" in page.words
    assert not STRONG.search(page.words.split("Audited regions")[-1].split("What the image leaves")[0].replace(
        "is its contrast to the surroundings in the data, or only in the picture", ""
    ))  # fmt: skip


# --- every sentence in the code -------------------------------------------------------------------------------------

SPEAKING = ("certificates/words.py", "certificates/worth.py", "workbench", "auditing", "outputs/report", "dicom/series",
            "outputs", "cli/commands/verify.py", "cli/commands/audit.py", "cli/commands/report.py")  # fmt: skip
TOO_MUCH = {
    r"equally well": "a proved range is the least that is true: images at its ends need not exist",
    r"(was|is) allowed for noise": "delta may hold more than noise",
    r"smallest delta that is not excluded": "other proofs may exclude more",
    r"independent(ly)? check|checked independent": "the checker is ours",
    r"not settled by": "what is not proved is not disproved",
    r"explains? the (measurement|scan|object|patient)": "it is the stored data that are explained",
    r"^(?!.*\bwhether).*\b(is|are) real\b": "nothing is proved of the object",
    r"\bno structure\b(?! beyond a grid)": "a grid leaves edges, for which the test allows",
    r"guarantee(?!s\.md)": "what is proved is said by its own words",
}


def sentences(path):
    """The texts of a file that are no documentation: literals of Python, words of the page."""
    if path.suffix != ".py":
        return [(1, re.sub(r"<[^>]*>|\{[%{].*?[%}]\}", " ", path.read_text()))]
    tree = ast.parse(path.read_text())
    documented = {
        id(node.body[0].value) for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and node.body
        and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    return [
        (node.lineno, node.value) for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
    ]  # fmt: skip


def speaking():
    root = Path(ctrecon.__file__).parent
    for name in SPEAKING:
        place = root / name
        yield from sorted([*place.rglob("*.py"), *place.rglob("*.html")]) if place.is_dir() else [place]


def too_much(text):
    return [why for pattern, why in TOO_MUCH.items() if re.search(pattern, text, re.IGNORECASE | re.DOTALL)]


def test_no_sentence_says_more_than_is_proved():
    found = [(path.name, line, text, too_much(text)) for path in speaking() for line, text in sentences(path)]
    assert len(found) > 300
    assert [one for one in found if one[3]] == []


@pytest.mark.parametrize(
    "text",
    [
        "Images that explain the scan equally well show this", "it was checked independently",
        "explains the measurement", "1.2 was allowed for noise", "the structure is real",
        "This is the smallest delta that is not excluded", "residual Au - f (no structure, p = 1)",
    ],
)  # fmt: skip
def test_sentences_that_said_too_much_are_found(text):
    assert too_much(text)
