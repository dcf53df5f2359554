"""An interval around a number, and where nothing lies, as a small SVG for a table's cell."""

from math import isnan

WIDTH, HEIGHT, MARGIN = 160, 16, 5


def interval_svg(value: float, low: float, high: float, most: float) -> str:
    """On an axis from -most to most with a line at 0; empty where a number is NaN."""
    middle, half = WIDTH / 2, WIDTH / 2 - MARGIN

    def across(number: float) -> float:
        return middle + number / max(most, 1e-9) * half

    content = f'<path class="zero" d="M{middle} 0V{HEIGHT}"/>'
    if not any(map(isnan, (value, low, high))):
        sure = "sure" if low > 0 or high < 0 else "unsure"
        content += f'<path class="span {sure}" d="M{across(low):.1f} 8H{max(across(high), across(low) + 1):.1f}"/>'
        content += f'<circle class="{sure}" cx="{across(value):.1f}" cy="8" r="3.5"/>'
    return f'<svg class="interval" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{content}</svg>'
