"""Bars of medians with whiskers up to the 95th percentile, as SVG: one group a call, one bar a subject."""
from xml.sax.saxutils import escape

COLORS = ("#8a8f98", "#c9622b", "#d9a441", "#2f7d5b", "#2b6cb0", "#7a4fa3")
BAR, GAP, LEFT, WIDTH = 16, 14, 190, 520


def draw(calls, subjects):
    """calls: names; subjects: {name: {call: (median, p95)}}; milliseconds. Each call has a scale of its own."""
    rows, y = [], 44 + 18 * len(subjects)
    for number, name in enumerate(subjects):
        rows.append(f'<rect x="16" y="{34 + 18 * number}" width="12" height="12" fill="{COLORS[number % len(COLORS)]}"/>'
                    f'<text x="34" y="{44 + 18 * number}">{escape(name)}</text>')
    for call in calls:
        shown = {name: series[call] for name, series in subjects.items() if call in series}
        if not shown:
            continue
        full = max(p95 for _, p95 in shown.values()) or 1
        rows.append(f'<text x="{LEFT - 10}" y="{y + BAR * len(shown) / 2 + 4}" text-anchor="end">{escape(call)}</text>')
        for number, name in enumerate(subjects):
            if name not in shown:
                continue
            median, p95 = shown[name]
            width, reach = WIDTH * median / full, WIDTH * p95 / full
            rows.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 3}" fill="{COLORS[number % len(COLORS)]}"/>'
                        f'<path d="M{LEFT + width:.1f} {y + 6.5}H{LEFT + reach:.1f}m0 -3v6" stroke="#444" fill="none"/>'
                        f'<text x="{LEFT + reach + 6:.1f}" y="{y + 11}">{median:.1f} ms</text>')
            y += BAR
        y += GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 110}" height="{y + 8}" '
            f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
            f'<text x="16" y="20" font-size="14">Median of each call; the line reaches to the 95th percentile</text>'
            + "".join(rows) + "</svg>\n")
