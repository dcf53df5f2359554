"""A line over a logarithmic axis, as an SVG file of its own."""

from collections.abc import Sequence
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 56  # margins around the axes
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-size:16px;font-weight:600}.grid{stroke:#ddd;fill:none}"
    ".line{stroke:#1f5fbf;stroke-width:2;fill:none}.mark{stroke:#b3261e;stroke-dasharray:5 4}"
)


def log_plot(
    points: Sequence[tuple[float, float]], marks: Sequence[tuple[float, str]], title: str, axes: tuple[str, str]
) -> str:
    """Points (x, y), x above 0 and rising, two at least; marks: places on the x axis and what is said of them."""
    xs, ys = [log10(x) for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    high = high if high > low else low + 1

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - xs[0]) / max(xs[-1] - xs[0], 1e-9)
        down = (high - y) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + down * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text class="title" x="{LEFT}" y="24">{title}</text>']
    for decade in range(ceil(xs[0]), floor(xs[-1]) + 1):
        x, bottom = place(decade, low)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20:.1f}" text-anchor="middle">1e{decade}</text>')
    for step in range(5):
        value = low + (high - low) * step / 4
        _, y = place(xs[0], value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for number, (x, words) in enumerate(marks):
        across, _ = place(log10(x), low)
        parts.append(f'<path class="mark" d="M{across:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        left = across < 0.7 * WIDTH  # else it would end beyond the picture
        where = f'x="{across + 6:.1f}"' if left else f'x="{across - 6:.1f}" text-anchor="end"'
        parts.append(f'<text {where} y="{TOP + 16 + 18 * number}">{words}</text>')
    line = "L".join(f"{across:.1f} {down:.1f}" for across, down in map(place, xs, ys))
    parts.append(f'<path class="line" d="M{line}"/>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{axes[0]}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 6}">{axes[1]}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    return f'{head}<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
