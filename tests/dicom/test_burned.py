"""The recogniser of drawn text: finds lines of letters in real slices, and none in slices without."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_files import ct, save
from PIL import Image, ImageDraw, ImageFont

from ctrecon.dicom.deidentify.burned import TextFoundError, check_no_text, lines_of_text
from ctrecon.dicom.deidentify.dataset import deidentify
from ctrecon.dicom.deidentify.faces import FaceError
from ctrecon.dicom.deidentify.files import deidentify_folder
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.options import Options
from ctrecon.errors import InputError

ME = Identity(secret=b"0123456789abcdef")
CLEAN = Options(clean_pixels=True)


def with_text(plane: np.ndarray, text: str, at: tuple[int, int], size: int, value: int) -> np.ndarray:
    picture = Image.new("1", plane.shape[::-1])
    ImageDraw.Draw(picture).text(at, text, fill=1, font=ImageFont.load_default(size))
    return np.where(np.asarray(picture), value, plane)


def test_letters_are_found_in_real_slices_and_not_where_there_are_none(data_dir):
    found = missed = alarms = 0
    for k, path in enumerate(sorted((data_dir / "ct_slices" / "tcga_luad").glob("*/*.dcm"))[::5]):
        plane = pydicom.dcmread(path).pixel_array.astype(np.int32)
        alarms += lines_of_text(plane) > 0
        for text, size in (("MUSTER ERIKA 12.08.1964", 14), ("Li Bo Anna", 24)):
            value = int(plane.max()) + 200 if k % 2 else int(plane.min()) - 50
            ok = lines_of_text(with_text(plane, text, (20 + 9 * k, 30 + 20 * k), size, value)) > 0
            found, missed = found + ok, missed + (not ok)
    assert alarms == 0
    assert missed <= 2, (found, missed)


def test_what_may_be_a_screen_is_refused():
    frames = np.zeros((1, 4, 4))
    check_no_text(ct(0, BurnedInAnnotation=None), frames, "a")
    with pytest.raises(TextFoundError, match="BurnedInAnnotation NO"):
        check_no_text(ct(0, BurnedInAnnotation="YES"), frames, "a")
    screen = ct(0, BurnedInAnnotation=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    with pytest.raises(TextFoundError, match="captured screen"):
        deidentify(screen, ME, "a", CLEAN)
    assert deidentify(screen, ME, "a").PatientID.startswith("ANON-")  # without the option it is only warned of


def test_in_a_folder_they_are_left_out_and_the_codes_say_what_was_done(tmp_path):
    rng = np.random.default_rng(1)
    plain = rng.integers(0, 900, (96, 160)).astype(np.int16)
    drawn = with_text(plain, "ANNA LI", (10, 20), 20, 2000).astype(np.int16)
    folder = save(tmp_path / "in", ct(0, plain), ct(1, drawn), ct(2, plain))
    done = deidentify_folder(folder, tmp_path / "out", ME, CLEAN)
    assert (done.written, done.left_out) == (2, 1)
    assert any("text may be drawn" in warning and "001.dcm" in warning for warning in done.warnings)
    after = pydicom.dcmread(tmp_path / "out" / "00001.dcm")
    assert [item.CodeValue for item in after.DeidentificationMethodCodeSequence] == ["113100", "113101", "113111"]
    with pytest.raises(InputError, match="frame 1 seems to have text"):
        deidentify_folder(folder / "001.dcm", tmp_path / "one", ME, CLEAN)


HEADS = (
    {"BodyPartExamined": "HEAD"}, {"BodyPartExamined": "head neck"}, {"BodyPartExamined": "WHOLEBODY"},
    {"BodyPartExamined": "CHEST", "RecognizableVisualFeatures": "YES"},
)
OTHERS = ({"BodyPartExamined": "CHEST"}, {"BodyPartExamined": "HEAD", "RecognizableVisualFeatures": "NO"})


def test_images_that_may_show_a_face_say_so_or_are_refused(tmp_path):
    no_faces = Options(clean_faces=True)
    for tags in HEADS:
        assert deidentify(ct(0, **tags), ME, "a").RecognizableVisualFeatures == "YES"
        with pytest.raises(FaceError, match="may show a face"):
            deidentify(ct(0, **tags), ME, "a", no_faces)
    with pytest.raises(FaceError, match="says neither BodyPartExamined"):
        deidentify(ct(0, BodyPartExamined=None), ME, "a", no_faces)
    for tags in OTHERS:
        clean = deidentify(ct(0, **tags), ME, "a", no_faces)
        assert clean.get("RecognizableVisualFeatures", "NO") == "NO"
        assert "113102" in [code.CodeValue for code in clean.DeidentificationMethodCodeSequence]
    folder = save(tmp_path / "in", ct(0, BodyPartExamined="CHEST"), ct(1, BodyPartExamined="HEAD"))
    done = deidentify_folder(folder, tmp_path / "out", ME, no_faces)
    assert (done.written, done.left_out) == (1, 1)
    assert any("may show a face" in warning for warning in done.warnings)
    done = deidentify_folder(folder, tmp_path / "all", ME)
    assert (done.written, done.left_out) == (2, 0)
    assert any("--clean-faces" in warning for warning in done.warnings)
