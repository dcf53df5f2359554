from xml.etree import ElementTree

import pytest

from vedette.pages.mathml import mathml


def inside(formula: str) -> str:
    """Without the outer element."""
    text = mathml(formula)
    ElementTree.fromstring(text)
    return text.removeprefix('<math display="block">').removesuffix("</math>")


def test_names_numbers_and_signs() -> None:
    assert inside("x") == "<mi>x</mi>"
    assert inside("0.45") == "<mn>0.45</mn>"
    assert inside("IoU > 2") == "<mrow><mi>IoU</mi><mo>&gt;</mo><mn>2</mn></mrow>"


def test_what_stands_below_and_above() -> None:
    assert inside("x_a") == "<msub><mi>x</mi><mi>a</mi></msub>"
    assert inside("e^{2t}") == "<msup><mi>e</mi><mrow><mn>2</mn><mi>t</mi></mrow></msup>"
    assert inside("s_k^2") == "<msubsup><mi>s</mi><mi>k</mi><mn>2</mn></msubsup>"


def test_words_keep_their_distance() -> None:
    assert inside("drop if p") == (
        "<mrow><mtext>\N{NO-BREAK SPACE}drop\N{NO-BREAK SPACE}</mtext>"
        "<mtext>\N{NO-BREAK SPACE}if\N{NO-BREAK SPACE}</mtext><mi>p</mi></mrow>"
    )


def test_fractions_roots_and_brackets() -> None:
    assert inside(r"\frac{1}{n}") == "<mfrac><mn>1</mn><mi>n</mi></mfrac>"
    assert inside(r"\sqrt{r}") == "<msqrt><mi>r</mi></msqrt>"
    assert inside("(a)_1") == "<msub><mrow><mo>(</mo><mi>a</mi><mo>)</mo></mrow><mn>1</mn></msub>"


@pytest.mark.parametrize("formula", ["{x", r"\frac{1}", "x_", "(a"])
def test_what_is_not_whole_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"missing|no '"):
        mathml(formula)
