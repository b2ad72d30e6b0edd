"""Notes of many slices become few sentences, and none is lost."""

from __future__ import annotations

from ctrecon.support.pooled_notes import pooled_notes


def test_notes_that_differ_in_numbers_alone_are_one_with_their_range() -> None:
    slices = [
        ["cone beam: z = -3.9 mm, 0.65 turns", "water has 0.0192 1/mm", "45 rays (0.13%) were missed"],
        ["cone beam: z = 10.25 mm, 0.65 turns", "water has 0.0192 1/mm", "9 rays (0.05%) were missed"],
        ["cone beam: z = 3 mm, 0.65 turns", "water has 0.0192 1/mm", "other"],
    ]
    assert pooled_notes(slices) == [
        "cone beam: z = -3.9 to 10.25 mm, 0.65 turns",
        "water has 0.0192 1/mm",
        "9 to 45 rays (0.05 to 0.13%) were missed (2 of 3 slices)",
        "other (1 of 3 slices)",
    ]


def test_notes_of_one_slice_and_words_with_digits_stay_as_they_are() -> None:
    notes = ["a # b 3", "a 4 b #", "FFS1 and v1.2.3, 1e-05", ""]
    assert pooled_notes([notes]) == notes
    assert pooled_notes([]) == []
    assert pooled_notes([["x1y"], ["x2y"]]) == ["x1y (1 of 2 slices)", "x2y (1 of 2 slices)"]
