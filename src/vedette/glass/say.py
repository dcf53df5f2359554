"""Sentences with places for numbers, filled alike by Python and by the live page (`pages/glass/say.js`).

say("{boxes|No box|One box|# boxes} of {score:share}", {"boxes": 3, "score": 0.5})  # "Three boxes of 0.50"

{name}                  the value: text as it is, a whole number with its thousands apart
{name:form}             in one of FORMS
{name:apart other}      with as many digits as show on which side of the value of that other name it lies
{name|none|one|many}    one of the three, by a count; in it # is the count in words, and places may stand in it
{^…}                    any of them, with its first letter large
"""

from collections.abc import Callable, Mapping

from vedette.glass.phrases import alone, apart, as_set, capital, in_words, plain, share

Values = Mapping[str, str | int | float]

FORMS: dict[str, Callable[..., str]] = {
    "a": lambda value: f"{'an' if value[:1].lower() in 'aeiou' else 'a'} {value}",
    "alone": alone,
    "words": in_words,
    "share": share,
    "set": as_set,
    "apart": apart,
    "plain": plain,
    "plain0": lambda value: plain(value, 0),
    "plain1": lambda value: plain(value, 1),
    "plain2": lambda value: plain(value, 2),
    "hundredths": lambda value: f"{value:.2f}",
}


def say(template: str, values: Values, count: str = "#") -> str:
    """The sentence with the values in their places; count: what stands for # outside of them."""
    said, place = "", 0
    while (opening := template.find("{", place)) >= 0:
        closing = _closing(template, opening)
        said += template[place:opening].replace("#", count) + _filled(template[opening + 1 : closing], values)
        place = closing + 1
    return said + template[place:].replace("#", count)


def if_any(name: str, template: str, otherwise: str = "") -> str:
    """The template where the count of that name is not 0."""
    return f"{{{name}|{otherwise}|{template}|{template}}}"


def _filled(inside: str, values: Values) -> str:
    """What stands for {inside}."""
    if inside.startswith("^"):
        return capital(_filled(inside[1:], values))
    name, *choices = _choices(inside)
    if choices:
        count = int(values[name])
        return say(choices[min(count, 2)], values, in_words(count))
    name, _, told = name.partition(":")
    value = values[name]
    if told:
        form, *beside = told.split()
        return FORMS[form](value, *(values[other] for other in beside))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _closing(template: str, opening: int) -> int:
    """Where the brace closes that opens there."""
    depth = 0
    for place in range(opening, len(template)):
        depth += {"{": 1, "}": -1}.get(template[place], 0)
        if not depth:
            return place
    raise ValueError(f"{template!r}: a brace is not closed")


def _choices(inside: str) -> list[str]:
    """Parted at those | that stand in no further braces."""
    parts, depth = [""], 0
    for letter in inside:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
