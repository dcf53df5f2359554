"""What was found, as JSON or as a picture with the boxes on it."""

from io import BytesIO

from pydantic import BaseModel

from vedette.serve.refusal import RefusedError
from vedette.structures import LARGEST_JPEG, Detections

JPEG, JSON = "image/jpeg", "application/json"
QUALITY = 90


class Found(BaseModel):
    """One object."""

    box: tuple[float, float, float, float]  # x1 y1 x2 y2 in the picture's pixels
    score: float
    label: int
    name: str


class Answer(BaseModel):
    """One picture; width and height are those after EXIF rotation, in which the boxes are."""

    model: str
    width: int
    height: int
    detections: list[Found]
    milliseconds: float  # from the request's arrival


class Failed(BaseModel):
    """A picture of several that could not be looked at."""

    error: str


class OneOfSeveral(BaseModel):
    """A picture that came with others."""

    width: int
    height: int
    detections: list[Found]


class Answers(BaseModel):
    """Several pictures, in their order."""

    model: str
    results: list[OneOfSeveral | Failed]
    milliseconds: float


def rows(found: Detections) -> list[Found]:
    """Best first; pixels in thousandths, scores in millionths."""
    values = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), found.names, strict=True)
    return [
        Found(box=tuple(round(side, 3) for side in box), score=round(score, 6), label=label, name=name)
        for box, score, label, name in values
    ]


def annotated(found: Detections) -> bytes:
    """The picture with boxes, names and scores as JPEG. Raises RefusedError for one that no JPEG holds."""
    picture = found.draw()
    if max(picture.size) > LARGEST_JPEG:
        raise RefusedError(413, f"no JPEG has a side of more than {LARGEST_JPEG} pixels; ask for {JSON}")
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def wants_picture(accept: str) -> bool:
    """Whether a request's Accept prefers a JPEG to JSON."""
    return _preference(accept, JPEG) > _preference(accept, JSON)


def _preference(accept: str, kind: str) -> float:
    """The quality that Accept gives to a kind by its own name, else by image/* or the like; 0 without."""
    given: dict[str, float] = {}
    for part in accept.split(","):
        name, _, parameters = part.partition(";")
        quality = parameters.replace(" ", "").partition("q=")[2].partition(";")[0]
        try:
            given[name.strip().lower()] = float(quality or 1)
        except ValueError:
            given[name.strip().lower()] = 0.0
    family = kind.partition("/")[0] + "/*"
    return next((given[name] for name in (kind, family, "*/*") if name in given), 0.0)
