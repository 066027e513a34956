"""Peers and us, interleaved in one run: medians, spread and paired ratios to the HAProxy chain."""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from chains import (CLIENT_CPU, GATEWAY_CPU, ROOT, pin, Caponier, Gateway, Haproxy2, Loopback, SshL, SshLGcm, Stunnel2, cpu_seconds, memory_kib, net)  # noqa: E402

LOAD = ROOT / "build-release/benchmarks/load"


def load(*args, timeout=120):
    p = subprocess.Popen([str(LOAD), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pin([p.pid], CLIENT_CPU)
    out, complaint = p.communicate(timeout=timeout)
    if p.returncode:
        raise RuntimeError(f"load {args}: {complaint.strip()}")
    return [float(x) for x in out.split()]


def bulk(direction, n, seconds):
    def measure(chain):
        pids = chain.gateway_pids()
        before, client_before = cpu_seconds(pids), cpu_seconds(chain.client_pids())
        took, _ = load(direction, n, chain.port, seconds)
        # the warm-up's bytes are not counted but its CPU is: scale by the time the load ran
        share = seconds / (seconds + 0.3)
        gib = took / 2**30
        return {"MiB/s": took / 2**20 / seconds, "gateway s/GiB": (cpu_seconds(chain.gateway_pids()) - before) * share / gib,
                "client s/GiB": (cpu_seconds(chain.client_pids()) - client_before) * share / gib}
    return measure


def rtt(seconds):
    def measure(chain):
        _, p50, p99 = load("rtt", chain.port, seconds)
        return {"p50 us": p50, "p99 us": p99}
    return measure


def setups(at_once, seconds):
    def measure(chain):
        before = cpu_seconds(chain.gateway_pids())
        count, took, p50 = load("setup", chain.port, at_once, seconds)
        return {"per s": count / took, "p50 us": p50, "gateway us": (cpu_seconds(chain.gateway_pids()) - before) / count * 1e6}
    return measure


def table(title, results, baseline, lower_is_better=()):
    """results: {chain: [dict a repetition]}. Median (min..max) and the median paired ratio."""
    rows = {}
    print(f"\n{title}")
    for field in next(iter(results.values()))[0]:
        print(f"  {field}")
        for chain, reps in results.items():
            values = [r[field] for r in reps]
            base = [r[field] for r in results[baseline]]
            ratio = statistics.median(v / b for v, b in zip(values, base) if b)
            rows.setdefault(chain, {})[field] = {"median": statistics.median(values), "min": min(values), "max": max(values), "ratio": ratio}
            print(f"    {chain:18} {statistics.median(values):10.2f} ({min(values):.2f}..{max(values):.2f})   {ratio:.2f} x {baseline}")
    return rows


def interleaved(title, chains, measure, repetitions, baseline="haproxy2"):
    results = {c.name: [] for c in chains}
    for _ in range(repetitions):
        for c in chains:
            results[c.name].append(measure(c))
    return table(title, results, baseline)


def idle_memory(chain, counts):
    """PSS a session of the gateway's processes and Private_Dirty of the clients', minus the same at none."""
    out = {}
    for n in counts:
        if n > chain.streams_max:
            out[n] = None
            continue
        places = chain.idle_ports(n)
        clients = [pid for _, _, pid in places]
        base, client_base = memory_kib(chain.gateway_pids(), "Pss"), memory_kib(clients, "Private_Dirty")
        loads = []
        try:
            for port, share, _ in places:
                loads.append(subprocess.Popen([str(LOAD), "idle", str(share), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                              text=True))
                if loads[-1].stdout.readline() != "ready\n":
                    break
            else:
                out[n] = {"gateway KiB": (memory_kib(chain.gateway_pids(), "Pss") - base) / n,
                          "client KiB": (memory_kib(clients, "Private_Dirty") - client_base) / n}
            out.setdefault(n, None)
        finally:
            for p in loads:
                p.stdin.close()
                p.wait()
            chain.idle_done()
    return out


def client_start(chain, n=7):
    """From exec to the ready line of our client (sign-in stored, decision asked of the gateway)."""
    times = []
    for _ in range(n):
        started = time.monotonic()
        with chain.admin.tunnel("target", "--name", "door0", "--resource-port", chain.target):
            times.append((time.monotonic() - started) * 1000)
    return {"median ms": statistics.median(times), "min": min(times), "max": max(times)}


def gateway_start(folder, n=3):
    times = []
    for i in range(n):
        g = Gateway(Loopback, pathlib.Path(folder) / f"start{i}", fence_allow_loopback=True, fronts=1)
        started = time.monotonic()
        g.start()
        times.append((time.monotonic() - started) * 1000)
        g.close()
    return {"median ms": statistics.median(times), "min": min(times), "max": max(times)}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "date": time.strftime("%Y-%m-%d")}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--quick", action="store_true", help="fewer repetitions, no 9,000 sessions; under three minutes")
    args.add_argument("--json", default=str(ROOT / "build-release/bench.json"))
    args.add_argument("--rows", default="", help="only rows whose title holds this text")
    args.add_argument("--only", help="comma-separated chains besides haproxy2 and caponier")
    args = args.parse_args()
    os.environ["CPN_BUILD"] = str(ROOT / "build-release")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caponier-bench-"))
    folder.chmod(0o755)
    reps, seconds = (3, 0.6) if args.quick else (7, 1.0)
    port = net.free_port()
    target = subprocess.Popen([str(LOAD), "target", str(port)], stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ready\n"
    pin([target.pid], GATEWAY_CPU)
    chains, report = [], {"machine": machine(), "repetitions": reps}
    try:
        for cls in (Haproxy2, Stunnel2, SshL, SshLGcm, Caponier):
            if not args.only or cls in (Haproxy2, Caponier) or cls.name in args.only.split(","):
                chains.append(cls(folder / cls.name, port))
        print(f"machine: {report['machine']}; {reps} repetitions of {seconds} s, interleaved; ratio = median of paired ratios to haproxy2")
        for title, measure in (("one stream down", bulk("down", 1, seconds)), ("one stream up", bulk("up", 1, seconds)),
                               ("64 streams down", bulk("down", 64, seconds)), ("64 streams up", bulk("up", 64, seconds)),
                               ("round trip of 64 bytes", rtt(seconds)), ("set-ups, 16 at once", setups(16, seconds)),
                               ("set-ups, one at a time", setups(1, seconds))):
            if args.rows in title:
                report[title] = interleaved(title, chains, measure, reps)
        if args.rows:
            return
        counts = [1000] if args.quick else [1000, 9000]
        print("\nidle sessions: KiB a session (PSS of all gateway processes; Private_Dirty of the client)")
        report["idle"] = {}
        for c in chains:
            report["idle"][c.name] = idle_memory(c, counts)
            for n, r in report["idle"][c.name].items():
                print(f"    {c.name:18} {n:5}: " + (f"gateway {r['gateway KiB']:.1f}, client {r['client KiB']:.1f}" if r else "not reached"))
        ours = next(c for c in chains if c.name == "caponier")
        report["start"] = {"client": client_start(ours), "gateway": gateway_start(folder)}
        for what, r in report["start"].items():
            print(f"{what} start to listening: {r['median ms']:.1f} ms ({r['min']:.1f}..{r['max']:.1f})")
        pathlib.Path(args.json).write_text(json.dumps(report, indent=1))
        print(f"\nwritten: {args.json}")
    finally:
        for c in reversed(chains):
            c.close()
        target.kill()
        target.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
