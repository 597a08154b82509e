# SPDX-License-Identifier: MIT
"""Line plots as SVG, without anything but text."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 320, 70, 190, 34, 40
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"]


def ticks(high, n=5):
    """Round numbers (1, 2, 5) from 0 to high, about n."""
    power = 10.0 ** math.floor(math.log10(high / n))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= high / n)
    return [i * step for i in range(int(high / step + 1e-9) + 1)]


def plot(path, title, unit, lines, marks=()):
    """lines: {name: [(seconds, value)]}; a None value breaks a line. marks: [(seconds, name)]."""
    points = [p for line in lines.values() for p in line if p[1] is not None]
    end = max([p[0] for p in points] + [m[0] for m in marks] + [1])
    top = max([p[1] for p in points] + [1e-6]) * 1.05

    def x(seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / end

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           f'font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
           f'<text x="{LEFT}" y="20" font-size="14">{escape(title)} ({escape(unit)})</text>']
    for value in ticks(top):
        out.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(end, 8):
        out.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g} s</text>')
    for seconds, name in marks:
        out.append(f'<path d="M{x(seconds):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#bbb" stroke-dasharray="3 3">'
                   f'<title>{escape(name)}</title></path>')
    for number, (name, line) in enumerate(lines.items()):
        colour, path_text, pen = COLOURS[number % len(COLOURS)], "", "M"
        for seconds, value in line:
            if value is None:
                pen = "M"
            else:
                path_text += f"{pen}{x(seconds):.1f} {y(value):.1f}"
                pen = "L"
        out.append(f'<path d="{path_text or "M0 0"}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                   f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 12 + 16 * number}" fill="{colour}">{escape(name)}</text>')
    with open(path, "w", encoding="utf-8") as svg:
        svg.write("".join(out) + "</svg>\n")
