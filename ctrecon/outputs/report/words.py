"""The certificate in words that a clinician reads. Every number is from what the checker has just found valid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ctrecon.measurement.units import Units, units_of
from ctrecon.outputs.history import History
from ctrecon.outputs.report.audits import Audit
from ctrecon.outputs.report.content import Content, Residual, Status
from ctrecon.outputs.report.scale import Scale
from ctrecon.support.rounded import round_down, round_up

HEADLINES: dict[Status, str] = {
    "certified": "Certified: this image explains the stored data to within delta",
    "infeasible": "Not certified: proved that no image within the limits explains the stored data to within delta",
    "refused": "Refused: the certificate does not hold",
    "not certified": "Not certified: this image does not explain the data to within delta",
}
IN_DOUBT = "The scan itself is in doubt, though this image explains the stored data to within delta"
"""The headline where a certificate holds and the scan looked wrong (``ctrecon/diagnosis/``)."""
TOO_MUCH = "the check would take"
"""How the checker begins to refuse what costs more than it may."""
EMPTY = "True, but it says nothing: the certificate holds and is empty"
"""The headline where the statement is worth nothing, whatever it is about."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """``lead`` under the headline; what is proved, and what is not, one sentence each."""

    headline: str
    lead: str
    proved: tuple[str, ...]
    not_proved: tuple[str, ...]


def number(value: float, digits: int = 4) -> str:
    """To ``digits`` significant digits, with a true minus; powers of ten as people write them."""
    if not math.isfinite(value):
        return "not finite"
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa} × 10{raised}"  # noqa: RUF001 - typeset
    return text.replace("-", "−")  # noqa: RUF001 - a minus, as it is typeset


def upward(value: float, digits: int = 4) -> str:
    """As ``number``, but never smaller than ``value``: for bounds that were proved from above."""
    return number(round_up(value, digits), digits)


def downward(value: float, digits: int = 4) -> str:
    """As ``number``, but never larger than ``value``: for bounds that were proved from below."""
    return number(round_down(value, digits), digits)


def inward(lo: float, hi: float, digits: int = 4) -> tuple[str, str]:
    """The ends of limits, never wider than they are: what was proved of all images within holds of these."""
    if round_up(lo, digits) <= round_down(hi, digits):
        return upward(lo, digits), downward(hi, digits)
    return number(lo, 17), number(hi, 17)


def whole(value: float) -> str:
    """Whole numbers as they are, others to four digits: for what ``Scale.outward`` rounded."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value)}".replace("-", "−")  # noqa: RUF001
    return number(value)


def say(content: Content) -> Said:
    if content.empty:
        return _empty(content)
    said = {"certified": _certified, "infeasible": _infeasible, "refused": _refused, "not certified": _missed}[
        content.status
    ](content)
    little = () if content.worth is None else content.worth.little
    if little:
        said = replace(said, lead=f"{said.lead} It says little: {'; '.join(little)}.")
    if content.doubts:
        lead = f"In doubt: {'; '.join(content.doubts)}. See ctrecon diagnose. {said.lead}"
        said = replace(said, lead=lead, headline=IN_DOUBT if content.status == "certified" else said.headline)
    return said


def _empty(content: Content) -> Said:
    """A certificate that holds, of any kind, and speaks of nothing."""
    assert content.worth is not None
    why = "; ".join(content.worth.nothing)
    return Said(
        headline=EMPTY,
        lead=f"Why: {why}. So an image that shows nothing at all would have the same certificate.",
        proved=("Nothing that an image without any structure would not meet as well. The checker's sentence below is "
                "true, and empty.",),
        not_proved=_SILENT,
    )  # fmt: skip


def _certified(content: Content) -> Said:
    assert content.claim is not None
    # As the certificate states it: the checker has just found that the true one is not larger.
    proved, delta = float(content.claim["residual_upper_bound"]), float(content.claim["delta"])
    residual, count = content.residual, _measured(content)
    within, allowed = _in_order(proved, delta)
    lead = (
        f"Projected again by calculation, this image gives back the {count} to within {within}"
        f"{_share(proved, residual)}; delta, up to which it was allowed to miss them, is {allowed}"
        f"{_share(delta, residual)}."
    )
    if residual is not None and residual.whitened:
        each = proved / math.sqrt(max(residual.counted, 1))
        lead += f" That is {upward(each, 3)} times the standard deviation that the weights assume, in quadratic mean."
    return Said(
        headline=HEADLINES["certified"],
        lead=lead,
        proved=(
            f"This image, pixel by pixel as it is stored, misses the stored data by at most {within}: "
            f"{_norm(content)} between the stored values and those that the "
            "image gives by the geometry and projector stated here.",
            "It was checked anew when this page was written: by a program that knows nothing of how the image "
            "was made, from the stored files alone, with a bound on its own rounding. You can repeat that.",
        ),
        not_proved=_SILENT,
    )


def _in_order(proved: float, delta: float) -> tuple[str, str]:
    """Both in words, with as many digits as it takes to read that the first is not above the second."""
    for digits in range(4, 18):
        if round_up(proved, digits) <= float(f"{delta:.{digits}g}"):
            break
    return upward(proved, digits), number(delta, digits)


def _above(lower: float, delta: float) -> tuple[str, str]:
    """Both in words, with as many digits as it takes to read that the first is above the second."""
    for digits in range(5, 18):
        if round_down(lower, digits) > float(f"{delta:.{digits}g}"):
            break
    return downward(lower, digits), number(delta, digits)


def _infeasible(content: Content) -> Said:
    assert content.claim is not None
    delta, lower = float(content.claim["delta"]), float(content.claim["lower_bound"])
    lo, hi = float(content.claim["lo"]), float(content.claim["hi"])
    unit = content.units.per
    least, most = inward(lo, hi)
    bound, asked = _above(lower, delta)
    return Said(
        headline=HEADLINES["infeasible"],
        lead=f"No image on this grid with attenuation from {least} to {most}{unit} comes closer to the "
        f"{_measured(content)} than {bound}; {asked} was demanded.",
        proved=(
            f"Every such image misses the stored data by at least {bound}: {_norm(content)} between the stored values "
            "and those that the image gives. Any smaller delta is excluded, for these limits; whether a larger one can "
            "be met is not said.",
            "It was checked anew when this page was written, from the stored files alone.",
        ),
        not_proved=(
            "The picture on this page is the best that was found. It is not certified: it shows how far the attempt "
            "came, and must not be read as a result." + _outside(content, lo, hi),
            "It is not said why nothing fits: the geometry may be wrong, the detector may be faulty, the patient may "
            "have moved, delta may have been set too small for the noise, the pixels too large or the limits too "
            "narrow.",
            _TRUSTED,
        ),
    )


def _outside(content: Content, lo: float, hi: float) -> str:
    """Why the picture's own misfit may be below the bound that no image is said to reach: it is none of those."""
    low, high = float(content.image.min()), float(content.image.max())
    if lo <= low and high <= hi:
        return ""
    unit = content.units.per
    return (
        f" It has values from {number(low)} to {number(high)}{unit}, some outside of the limits above, so its own "
        "misfit may be below the bound."
    )


def _refused(content: Content) -> Said:
    assert content.verdict is not None
    if content.verdict.reason.startswith(TOO_MUCH):
        return Said(
            headline="Not checked: the check would take more than is allowed",
            lead=f"The checker says: {content.verdict.reason}.",
            proved=("Nothing is proved about the picture on this page: its certificate was not checked.",),
            not_proved=(
                "Whether the certificate holds: large ones take long, and files are made to. Where you trust where it "
                "came from, ctrecon verify --effort N checks it.",
            ),
        )
    return Said(
        headline=HEADLINES["refused"],
        lead=f"The checker says: {content.verdict.reason}",
        proved=("Nothing is proved about the picture on this page.",),
        not_proved=(
            "A file was changed, damaged or exchanged after the reconstruction, or was never what it claims. Get the "
            "original files, or reconstruct again from the scan.",
        ),
    )


def _missed(content: Content) -> Said:
    history = content.history
    assert history is not None
    times = history.residual / history.delta if history.delta > 0 else math.inf
    return Said(
        headline=HEADLINES["not certified"],
        lead=f"By its history, projected again it misses the data by {upward(history.residual)}, "
        f"{number(times, 3)} times delta, which was {number(history.delta)}.",
        proved=(
            "Nothing is proved about the picture on this page. It is the best that the method found.",
            *_not_excluded(history),
        ),
        not_proved=(_another(history),),
    )


def _not_excluded(history: History) -> tuple[str, ...]:
    """The smallest delta that is not excluded, where there is one: below it none need be tried."""
    lower, most = history.lower_bound, history.most_attenuation
    if lower is None or most is None or not 0 < lower <= history.delta:
        return ()
    unit = units_of(history.length_unit, placed=history.operator is not None).per
    return (
        f"By its history, no image with attenuation from 0 to {downward(most)}{unit} comes closer than "
        f"{downward(lower)}, as was computed when this one was made. No certificate of that is stored, since it does "
        "not exclude the delta that was asked for.",
    )


def _another(history: History) -> str:
    if history.best_residual is not None and history.best_residual <= history.delta:
        return (
            "It is not said that no image meets delta: by the history another one was found that misses the data by "
            f"{upward(history.best_residual)} only. The method did not find it; another one, or more iterations where "
            "the method counts any, may."
        )
    return (
        "It is not said whether another image meets delta: the method may have ended too early, or the scan may not "
        "fit the geometry and the noise that were assumed."
    )


def _norm(content: Content) -> str:
    if content.norm == "whitened" and content.residual is not None and not content.residual.whitened:
        return "the root of the sum of the squared differences that count, with those of missing values left out,"
    return NORM_WORDS.get(str(content.norm), str(content.norm))


NORM_WORDS = {
    "2-norm": "the root of the sum of all squared differences",
    "whitened": "the root of the sum of the squared differences that count, each in standard deviations of its noise "
    "as the weights assume it,",
    "max": "the largest difference",
}

_TRUSTED = (
    "Whether the stored data and geometry are those of a scan: both are taken on trust here. ctrecon verify --scan "
    "FILE compares them with the scan, value by value."
)
_SILENT = (
    "Whether a structure in the image is real. Where the data leave a choice (few views, fine detail, weak "
    "contrast) the method chose, and other images meet delta as well. Only an audited region says more.",
    "Whether the geometry, the noise and delta were right; they are printed here so that you can judge them.",
    "Whether it is the object or its mirror image: both fit, with the angles or the detector counted the other way. "
    "Left and right are as the geometry states them.",
    _TRUSTED,
    "Who made the files, and of whom the scan is.",
)


def verdict_of(audit: Audit) -> str:
    if audit.refused:
        return "refused"
    if audit.nothing:
        return "says nothing"
    if audit.contradicts:
        return "this image is wrong here"
    return "in the data" if audit.decided else "not decided"


def say_audit(audit: Audit, scale: Scale) -> str:
    if audit.refused:
        return f"The checker says: {audit.refused}"
    if audit.nothing:
        return f"The certificate holds, but it says nothing: {'; '.join(audit.nothing)}."
    little = f" It says little: {'; '.join(audit.little)}." if audit.little else ""
    if audit.contradicts:
        little = " What this image shows here lies outside of that: it is wrong, if the object is within them." + little
    lower, upper = whole(scale.outward(audit.lower, up=False)), whole(scale.outward(audit.upper, up=True))
    if audit.decided:
        brighter = audit.lower > 0
        more = "brighter" if brighter else "darker"
        least, most = (lower, upper) if brighter else (upper.lstrip("−"), lower.lstrip("−"))  # noqa: RUF001
        return (
            f"If the object is within the limits below, this region is {more} than its surroundings, by at least "
            f"{least} and at most {most} {scale.unit}: every image within them shows that.{little}"
        )
    return (
        f"No image within the limits below shows this region below {lower} or above {upper} {scale.unit} against its "
        f"surroundings. That leaves open which is the brighter one: it is not decided here.{little}"
    )


def limits_of(audit: Audit, units: Units) -> str:
    least, most = inward(audit.lo, audit.hi)
    return (
        f"The limits, assumed of the object and not proved: misfit at most {downward(audit.delta)}, total variation at "
        f"most {downward(audit.kappa)} and values from {least} to {most}{units.per}."
    )


def _share(value: float, residual: Residual | None) -> str:
    if residual is None or residual.of_data == 0:
        return ""
    return f" ({upward(100 * value / residual.of_data, 3)} % of the norm of the data)"


def _measured(content: Content) -> str:
    """How many stored values are spoken of: those of weight zero may be missed by anything."""
    assert content.claim is not None
    stored, residual = math.prod(content.claim["data"]["shape"]), content.residual
    if residual is None or residual.counted == stored:
        return f"{_counted(stored)} stored values"
    return f"{_counted(residual.counted)} stored values that count, of {_counted(stored)},"


def _counted(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
