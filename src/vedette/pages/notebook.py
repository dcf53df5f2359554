"""What notebooks show of things that were found: a picture and a table, as HTML that needs nothing else."""

from collections.abc import Sequence
from html import escape

from PIL import Image

from vedette.pages.embed import jpeg_uri

MOST_ROWS, SIDE = 20, 640


def found_html(
    picture: Image.Image | None, names: Sequence[str], scores: Sequence[float], boxes: Sequence[Sequence[float]]
) -> str:
    """The picture, as it is to be seen, and what was found, the best first."""
    image = "" if picture is None else f'<img alt="" style="max-width:100%" src="{jpeg_uri(picture, SIDE, 85)}">'
    if not len(names):
        return f"<div>{image}<p>Nothing was found.</p></div>"
    rows = "".join(
        f'<tr><td style="text-align:left">{escape(name)}</td><td>{score:.3f}</td>'
        f"<td>{', '.join(f'{side:.0f}' for side in box)}</td></tr>"
        for name, score, box in list(zip(names, scores, boxes, strict=True))[:MOST_ROWS]
    )
    more = f"<p>and {len(names) - MOST_ROWS} more</p>" if len(names) > MOST_ROWS else ""
    head = "<tr><th>class</th><th>score</th><th>x1, y1, x2, y2</th></tr>"
    return f"<div>{image}<table>{head}{rows}</table>{more}</div>"
