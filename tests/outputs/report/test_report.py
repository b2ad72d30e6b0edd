"""What the report says of every kind of reconstruction: nothing unproved, and hostile text stays text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_cases import HOSTILE, Page, add_audit, believing, copied, make_infeasible, reconstruct, run
from scipy import sparse

from ctrecon.certificates import verify
from ctrecon.certificates.pooled import certify_pooled
from ctrecon.certificates.verify import FILES
from ctrecon.cli.main import Commands
from ctrecon.errors import InputError, OutputError
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.files import Target
from ctrecon.outputs.report.content import Content, gather
from ctrecon.outputs.report.page import check_place, render
from ctrecon.reconstruction.conclude import conclude
from ctrecon.reconstruction.problem import Outcome, prepare


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reconstruct(tmp_path_factory.mktemp("report"))


@pytest.fixture
def head(original: Path, tmp_path: Path) -> Path:
    return copied(original, tmp_path, "head")


def page_of(content: Content) -> Page:
    page = Page(render(content))
    assert not page.faults, page.faults
    return page


def test_a_certified_image(head: Path) -> None:
    content = gather(head)
    page = page_of(content)
    assert content.status == "certified"
    assert "Certified: this image explains the stored data to within delta" in page.words
    assert "misses the stored data by at most" in page.words
    assert "checked anew when this page was written" in page.words
    assert "It says nothing about" in page.words
    assert "not certified" not in page.words.lower()
    assert content.residual is not None
    assert content.claim is not None
    assert content.residual.norm == pytest.approx(content.claim["residual"], rel=1e-9)
    assert "No region was audited" in page.words
    for claimed in ("The certificate speaks", "The proof is in the files", "the proof recomputes", "half its square"):
        assert claimed in page.words, claimed
    for stored in content.files:
        assert stored.sha256 in page.words
    assert "ctrecon verify head.certificate.json" in page.words
    # The scan is a fan of 40 views: the geometry is on the page, in mm.
    for fact in ("fan beam", "40, from 0°", "48 cells", "conjugate gradients", "Time for the reconstruction"):
        assert fact in page.words, fact


def test_an_energy_that_is_no_misfit_alone_is_not_called_half_its_square(head: Path) -> None:
    content = gather(head)
    assert content.history is not None
    more = tuple(replace(step, energy=1.2 * step.energy) for step in content.history.progress)
    page = page_of(replace(content, history=replace(content.history, progress=more)))
    assert "half its square" not in page.words
    assert "what the method lowers: not this misfit alone" in page.words


def test_a_changed_pixel_is_refused_in_red(head: Path) -> None:
    image = np.load(head)
    image[20, 20] += 1e-6
    np.save(head, image)
    result = run("report", head)
    assert result.exit_code == 1
    assert "REFUSED" in result.output
    page = Page(head.with_name("head.report.html").read_text())
    assert "Refused: the certificate does not hold" in page.words
    assert "Certified:" not in page.words
    assert "misses the stored data by at most" not in page.words
    assert "Nothing is proved about the picture on this page" in page.words
    assert {"class": "verdict refused", "aria-labelledby": "verdict-head"} in page.all("section")
    assert "speaks of another image" in page.words  # so does the history
    assert "The proof is in the files" not in page.words
    assert "was refused when it was written" in page.words
    assert gather(head).residual is None


def test_a_certificate_that_costs_too_much_is_not_called_false(head: Path) -> None:
    page = page_of(gather(head, check=lambda path: verify.check(path, effort=1e-9)))
    assert "Not checked: the check would take more than is allowed" in page.words
    assert "--effort" in page.words
    for claimed in ("Refused: the certificate", "A file was changed", "misses the stored data by at most"):
        assert claimed not in page.words


def test_delta_not_met(tmp_path: Path) -> None:
    reconstruct(tmp_path)
    done = run(
        "reconstruct", tmp_path / "scan.npz", "--method", "cgls", "--delta", "2.5%", "--iterations", 1,
        "-o", tmp_path / "u.npy", "--no-preview", "--report", tmp_path / "u.html",
    )  # fmt: skip
    assert done.exit_code == 3
    assert "that meets delta was found by the solver" in done.output
    # Nor are geometry and data blamed where an image that explains them is known.
    assert "try more --iterations or another --method" in done.output
    assert "check geometry" not in done.output
    at_once = Page((tmp_path / "u.html").read_text())
    result = run("report", tmp_path / "u.npy", "-o", tmp_path / "later.html")
    assert result.exit_code == 3
    later = Page((tmp_path / "later.html").read_text())
    for page in (at_once, later):
        assert "Not certified: this image does not explain the data to within delta" in page.words
        assert re.search(r"misses the data by [\d.]+, [\d.]+ times delta, which was [\d.]+", page.words)
        assert "Certified:" not in page.words
        assert "There is no certificate to check" in page.words
        # Where nothing is proved no sentence speaks of a proof or of what a certificate says.
        for claimed in ("The certificate speaks", "The proof is in the files", "the proof recomputes"):
            assert claimed not in page.words, claimed
        assert "fan beam" in page.words
        # One iteration was too few, and the search for a proof that nothing fits has found what does.
        ended = r"another one was found that misses the data by [\d.]+ only. The method did not find it"
        assert re.search(ended, page.words)
    # Only the run itself has the data at hand.
    assert {a.get("id") for a in at_once.all("div")} >= {"plot-residual", "plot-descent"}
    assert "plot-residual" not in {a.get("id") for a in later.all("div")}
    assert "data are stored only beside a certificate" in later.words


def test_no_image_can_explain_the_data(head: Path) -> None:
    make_infeasible(head)
    content = gather(head, check=believing)
    page = page_of(content)
    assert content.status == "infeasible"
    assert "proved that no image within the limits explains the stored data to within delta" in page.words
    assert "at least 0.76543: the root of the sum" in page.words  # towards zero: 0.76543|21
    assert "0.5 was demanded" in page.words
    assert "Any smaller delta is excluded, for these limits" in page.words
    assert "with attenuation from 0 to 0.06 per mm" in page.words
    narrow = page_of(replace(content, claim={**content.claim, "lo": -0.123456, "hi": 0.123456}))
    assert "with attenuation from −0.1234 to 0.1234 per mm" in narrow.words  # noqa: RUF001 - no wider than was proved
    # An image that is none of those in the box may well have a misfit below the bound, and the page says why.
    outside = "some outside of the limits above, so its own misfit may be below the bound"
    assert (outside in page.words) == (content.image.min() < 0 or content.image.max() > 0.06)
    assert outside not in page_of(replace(content, image=np.clip(content.image, 0, 0.06))).words
    assert outside in page_of(replace(content, image=content.image - 1)).words
    assert "Certified:" not in page.words
    assert content.residual is not None


def test_audited_regions(head: Path) -> None:
    add_audit(head, "a", "the nodule", 0.0041, 0.0182)
    add_audit(head, "b", "a vessel", -0.0048, 0.0062)
    add_audit(head, "c", "the trachea", -0.021, -0.0154)
    add_audit(head, "d", "the sinus", -0.0009, -0.0001)
    content = gather(head, check=believing)
    page = page_of(content)
    assert [audit.decided for audit in content.audits] == [True, False, True, True]
    # The image itself shows -0.0004 1/mm there: outside of the first and the third range.
    assert [audit.contradicts for audit in content.audits] == [True, False, True, False]
    # 1/mm become HU, rounded outwards: 205 and 910, 240 and 310, 770 and 1050.
    assert "brighter than its surroundings, by at least 205 and at most 910 HU" in page.words
    assert "below −240 or above 310 HU" in page.words  # noqa: RUF001
    assert "darker than its surroundings, by at least 770 and at most 1050 HU" in page.words
    assert page.words.count("this image is wrong here") == 2
    assert "the nodule this image is wrong here" in page.words
    assert "a vessel not decided" in page.words
    assert "the sinus in the data If" in page.words
    assert "4 audited regions outlined" in page.words
    u, c = np.load(head).astype(np.float64), content.audits[0].functional
    assert c is not None
    assert content.audits[0].value == pytest.approx(float((u * c).sum()), rel=1e-12)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "fault",
    ["byte", "other data", "other geometry", "functional", "shape", "text", "other weights", "smaller delta",
     "no contrast"],
)  # fmt: skip
def test_what_does_not_hold_of_a_region_is_refused(head: Path, fault: str) -> None:
    changed = {
        "other data": {"data": {"sha256": "0" * 64, "shape": [40, 48], "dtype": "<f8"}},
        "other geometry": {"operator": {"projector": "matrix"}},
        "text": {"kappa": "a lot"},
        "other weights": {"norm": "whitened", "weights": {"sha256": "0" * 64, "shape": [40, 48], "dtype": "<f8"}},
        "smaller delta": {"delta": 1e-9},
        "no contrast": {"times": 10.0},  # true of ten times the mean, and told as if it were of the mean
    }
    path = add_audit(head, "a", "the nodule", 0.0041, 0.0182, **changed.get(fault, {}))
    functional = path.with_name("head.a.functional.npy")
    if fault == "byte":
        path.write_bytes(path.read_bytes().replace(b"0.0182", b"0.0082"))
    elif fault == "functional":
        np.save(functional, 2 * np.load(functional))
    elif fault == "shape":
        np.save(functional, np.zeros((3, 3)))
    content = gather(head, check=believing)
    page = page_of(content)
    assert content.audits[0].refused
    assert content.audits[0].functional is None
    assert "refused" in page.words
    assert "brighter" not in page.words
    assert "outlined" not in page.words
    assert content.status == "certified"


def test_other_reconstructions_beside_it_are_not_its_regions(head: Path) -> None:
    other = copied(head, head.parent, "head.recon")
    add_audit(other, "a", "the nodule", 0.0041, 0.0182)
    content = gather(head, check=believing)
    assert content.audits == ()
    assert len(gather(other, check=believing).audits) == 1
    # A certificate that is damaged does not say whose it is.
    other.with_name("head.recon.certificate.json").write_text("{")
    assert [audit.name for audit in gather(head, check=believing).audits] == ["head.recon.certificate.json"]


def test_made_up_numbers_are_refused_by_the_real_checker(head: Path) -> None:
    add_audit(head, "a", "the nodule", 0.0041, 0.0182)
    assert gather(head).audits[0].refused
    result = run("report", head, "-o", head.with_name("r.html"))
    assert result.exit_code == 1
    assert "head.a.certificate.json" in result.output


@pytest.mark.skipif("audit" not in Commands.names(), reason="there is no command that audits a region")
@pytest.mark.long
def test_a_real_audit(head: Path) -> None:
    assert run("audit", head, "--roi", "24,24,5", "--iterations", 1000).exit_code == 0
    audits = gather(head).audits
    assert audits
    assert not [audit.refused for audit in audits if audit.refused]


def test_hostile_text_stays_text(original: Path, tmp_path: Path) -> None:
    stem = "<b onclick=x>&'\"$(reboot)`"
    image = copied(original, tmp_path, stem)
    add_audit(image, "<i>", HOSTILE, 0.0041, 0.0182)
    history = image.with_name(stem + ".history.json")
    values = json.loads(history.read_text())
    values |= dict.fromkeys(("method", "reason", "source", "delta_from", "device", "projector"), HOSTILE)
    values |= {"notes": [HOSTILE for _ in values["notes"]]}
    values |= {"made_with": {f"{k}{HOSTILE}": HOSTILE for k in range(len(values["made_with"]))}}
    values |= {"timings": {f"{k}{HOSTILE}": 1.0 for k in range(len(values["timings"]))}}
    history.write_text(json.dumps(values))
    harmless = copied(original, tmp_path, "harmless")
    add_audit(harmless, "a", "the nodule", 0.0041, 0.0182)
    plain = page_of(gather(harmless, check=believing))
    page = page_of(gather(image, check=believing))
    seen = " ".join(HOSTILE.split())
    assert page.words.count(seen) >= 10
    assert f"# {stem}" in page.words.replace("reconstruction report ", "# ")
    # The elements are those of a harmless page, one by one.
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert len(page.all("script")) == len(plain.all("script"))
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    # In the commands, names are quoted for the shell.
    assert "ctrecon verify '" in page.words


def test_what_makes_no_report(head: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"S\.certificate\.json or S\.npy"):
        gather(tmp_path / "scan.npz")
    np.save(tmp_path / "alone.npy", np.zeros((4, 4)))
    with pytest.raises(InputError, match="neither"):
        gather(tmp_path / "alone.npy")
    path = add_audit(head, "a", "the nodule", 0.1, 0.2)
    with pytest.raises(InputError, match="one region"):
        gather(path, check=believing)
    head.unlink()
    result = run("report", head.with_name("head" + FILES[""]))
    assert result.exit_code == 2
    assert "cannot be read" in result.output
    assert result.output.count("\n") == 1


def test_where_a_page_may_go(head: Path, tmp_path: Path) -> None:
    for place in (tmp_path / "a.txt", tmp_path / "absent" / "a.html", head):
        with pytest.raises(OutputError):
            check_place(place, head)
    check_place(tmp_path / "a.HTML", head)
    (tmp_path / "folder.html").mkdir()
    assert run("report", head, "-o", tmp_path / "folder.html").exit_code == 2
    # Refused before any work: nothing is written.
    before = sorted(tmp_path.iterdir())
    result = run("reconstruct", original_scan(head), "-o", tmp_path / "n.npy", "--report", tmp_path / "n.txt")
    assert result.exit_code == 2
    assert sorted(tmp_path.iterdir()) == before


def original_scan(head: Path) -> Path:
    return head.with_name("head.data.npy")


def test_a_picture_that_was_enlarged_is_not_a_scan(tmp_path: Path) -> None:
    small = np.arange(16.0).reshape(4, 4)
    certificate = certify_pooled(np.kron(small, np.ones((2, 2))), small, 2, 0.5)
    certificate.write(tmp_path / "p.npy")  # type: ignore[union-attr]
    with pytest.raises(InputError, match="enlarged"):
        gather(tmp_path / "p.npy")


def test_whitened_and_with_a_matrix_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = sparse.csr_matrix(rng.random((35, 16)))
    u = rng.random((4, 4)).astype(np.float32)
    f = (matrix @ u.ravel()).reshape(5, 7) + 0.01 * rng.standard_normal((5, 7))
    mask = np.ones((5, 7), dtype=np.bool_)
    mask[2, 3:5], f[2, 3:5] = False, 100.0  # the image misses these by far, and the page does not say otherwise
    scan = Scan(sinogram=f, matrix=matrix, variance=np.full((5, 7), 1e-4), mask=mask)
    problem = prepare(scan, Delta(value=9.0, norm="whitened", how="given"))
    result = conclude(problem, Outcome(image=u, reason="known", history=()), method="none")
    Target.at(tmp_path / "m.npy").write(result, preview=False)
    content = gather(tmp_path / "m.npy")
    page = page_of(content)
    assert content.status == "certified"
    assert content.residual is not None
    assert content.residual.whitened
    whitened = (matrix @ u.ravel() - f.ravel())[mask.ravel()] / 0.01
    assert content.residual.norm == pytest.approx(float(np.linalg.norm(whitened)), rel=1e-4)
    assert "times the standard deviation" in page.words
    assert "gives back the 33 stored values that count, of 35, to within" in page.words
    assert "the root of the sum of the squared differences that count" in page.words
    assert "brought its own matrix" in page.words
    assert {stored.role for stored in content.files} == {"certificate", "image", "data", "weights", "matrix"}
    assert "HU" not in page.words
