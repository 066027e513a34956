"""Bar pictures: one group a label, one bar a chain, whiskers from least to most."""
from xml.sax.saxutils import escape

COLOURS = ["#1f6f8b", "#e07a1f", "#6b8e23", "#8d5a97", "#b23a48", "#4d6c8a", "#a0a0a0", "#c9a227", "#3c8d7d", "#795548"]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, LEGEND = 860, 320, 70, 40, 40, 190


def bars(path, title, unit, groups, chains):
    """groups: [(label, {chain: {"median","min","max"}})]."""
    top = max((c["max"] for _, cells in groups for c in cells.values()), default=1) * 1.05 or 1
    plot_w, plot_h = WIDTH - LEFT - LEGEND, HEIGHT - TOP - BOTTOM
    group_w = plot_w / max(len(groups), 1)
    bar_w = group_w * 0.85 / max(len(chains), 1)

    def y(value):
        return TOP + plot_h * (1 - value / top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>']
    for i in range(5):
        value = top * i / 4
        out.append(f'<line x1="{LEFT}" x2="{LEFT + plot_w}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    out.append(f'<text x="16" y="{TOP + plot_h / 2}" transform="rotate(-90 16 {TOP + plot_h / 2})" text-anchor="middle">{escape(unit)}</text>')
    for g, (label, cells) in enumerate(groups):
        x0 = LEFT + g * group_w + group_w * 0.075
        out.append(f'<text x="{x0 + group_w * 0.425:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{escape(label)}</text>')
        for b, chain in enumerate(chains):
            if chain not in cells:
                continue
            c, x = cells[chain], x0 + b * bar_w
            middle = x + bar_w * 0.45
            out.append(f'<rect x="{x:.1f}" y="{y(c["median"]):.1f}" width="{bar_w * 0.9:.1f}" height="{plot_h + TOP - y(c["median"]):.1f}" '
                       f'fill="{COLOURS[b % len(COLOURS)]}"/><line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y(c["min"]):.1f}" '
                       f'y2="{y(c["max"]):.1f}" stroke="#222"/>')
    for b, chain in enumerate(chains):
        out.append(f'<rect x="{WIDTH - LEGEND + 14}" y="{TOP + b * 18}" width="11" height="11" fill="{COLOURS[b % len(COLOURS)]}"/>'
                   f'<text x="{WIDTH - LEGEND + 30}" y="{TOP + b * 18 + 10}">{escape(chain)}</text>')
    path.write_text("\n".join(out) + "\n</svg>\n")
