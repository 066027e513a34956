"""Puts a run's figures and pictures into docs/performance.md. usage: page.py FOLDER-OF-BENCH"""
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).parents[1]
NAMES = ("throughput", "latency", "memory", "client")
PAGE, PICTURES = ROOT / "docs/performance.md", ROOT / "docs/performance"
BEGIN, END = "<!-- figures: written by benchmarks/page.py -->", "<!-- end of figures -->"


def cell(c):
    return f"{c['median']:.3g} ({c['min']:.3g}..{c['max']:.3g}) **{c['ratio']:.2f}**"


def table(title, row):
    fields = list(next(iter(row.values())))
    lines = [f"### {title[0].upper() + title[1:]}", "", "| | " + " | ".join(fields) + " |", "|---" * (len(fields) + 1) + "|"]
    for chain, cells in row.items():
        lines.append(f"| {chain} | " + " | ".join(cell(cells[f]) for f in fields) + " |")
    return lines + [""]


def idle(report):
    lines = ["### Idle sessions", "", "| | sessions | gateway KiB | client KiB | set-up us | idle CPU % |", "|---|---|---|---|---|---|"]
    for chain, counts in report.get("idle", {}).items():
        for n, c in counts.items():
            if c:
                lines.append(f"| {chain} | {n} | {c['gateway KiB']:.1f} | {c['client KiB']:.1f} | {c['set-up us']:.0f} | {c['idle CPU %']:.1f} |")
    return lines + [""]


def memory(report):
    held = report.get("client KiB", {})
    return ["### Memory of one client by its sessions", "", "| | " + " | ".join(held) + " |", "|---" * (len(held) + 1) + "|",
            "| Private_Dirty KiB | " + " | ".join(map(str, held.values())) + " |", ""] if held else []


def figures(report):
    m = report["machine"]
    lines = [BEGIN, "", f"{m['date']}, {m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, {m['congestion']}; {report['repetitions']} repetitions of "
             f"{report['seconds']} s. A cell is the median (least..most) **median of the ratios to haproxy2 in the same repetition**. Tables of "
             "the client and of set-ups with TLS connections of their own have ratios to their first line.", ""]
    for name in NAMES:
        lines += [f"![{name}](performance/{name}.svg)", ""]
    lines += ["### Goals", "", "| wanted | measured | |", "|---|---|---|"]
    lines += [f"| {g['what']} {g['wanted']} | {g['value']:.2f} | {'reached' if g['reached'] else '**missed**'} |" for g in report["goals"]] + [""]
    for title, row in report["rows"].items():
        lines += table(title, row)
    if "idle" in report:
        lines += idle(report)
    lines += memory(report)
    return "\n".join(lines + [END])


def main():
    source = pathlib.Path(sys.argv[1])
    report = json.loads((source / "bench.json").read_text())
    PICTURES.mkdir(exist_ok=True)
    for name in NAMES:
        shutil.copy(source / f"{name}.svg", PICTURES / f"{name}.svg")
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + figures(report) + rest.split(END)[1])


main()
