"""Medians, spread, paired ratios, goals; as text and for JSON."""
import statistics


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(values, base):
    """The median of the paired ratios: neighbours of one repetition saw the same machine. 0: there is nothing to compare with."""
    pairs = [v / b for v, b in zip(values, base) if b > 0]
    return statistics.median(pairs) if pairs else 0.0


class Row:
    """One title; for each chain a list of dicts, one a repetition."""

    def __init__(self, title, results, baseline):
        self.title, self.results, self.baseline = title, results, baseline

    def values(self, chain, field):
        return [r[field] for r in self.results[chain]]

    def ratio(self, chain, field, versus=None):
        return ratio(self.values(chain, field), self.values(versus or self.baseline, field))

    def has(self, *chains):
        return all(c in self.results for c in chains)

    def fields(self):
        return list(next(iter(self.results.values()))[0])

    def table(self):
        return {chain: {f: {**spread(self.values(chain, f)), "ratio": self.ratio(chain, f)} for f in self.fields()} for chain in self.results}

    def show(self):
        print(f"\n{self.title}")
        for field in self.fields():
            print(f"  {field}")
            for chain, cells in self.table().items():
                c = cells[field]
                print(f"    {chain:20} {c['median']:10.2f} ({c['min']:.2f}..{c['max']:.2f})   {c['ratio']:.2f} x {self.baseline}", flush=True)


def interleaved(title, chains, measure, repetitions, baseline):
    """For each repetition every chain (what has a name) in turn."""
    results = {c.name: [] for c in chains}
    for _ in range(repetitions):
        for c in chains:
            results[c.name].append(measure(c))
    row = Row(title, results, baseline)
    row.show()
    return row


class Goals:
    """What was wanted, what was measured."""

    def __init__(self):
        self.lines = []

    def least(self, what, value, wanted):
        self.lines.append({"what": what, "value": value, "wanted": f">= {wanted}", "reached": value >= wanted})

    def most(self, what, value, wanted):
        self.lines.append({"what": what, "value": value, "wanted": f"<= {wanted}", "reached": value <= wanted})

    def show(self):
        print("\ngoals")
        for g in self.lines:
            print(f"    {'reached' if g['reached'] else 'MISSED ':8} {g['value']:8.2f}  (wanted {g['wanted']:>8})  {g['what']}")
