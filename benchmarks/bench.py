"""Peers and us, interleaved in one run: medians, spread, paired ratios to the HAProxy chain, goals, pictures."""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import azdoor  # noqa: E402
import measures  # noqa: E402
import people  # noqa: E402
import setups  # noqa: E402
import svg  # noqa: E402
from chains import BUILD, GATEWAY_CPU, Caponier, CaponierBeside, CaponierCarriers, CaponierFronts, CaponierOpenssl, net, pin  # noqa: E402
from rivals import (Haproxy2, Haproxy2Default, Haproxy2NoResume, Limit, LimitOpenssl, Nginx2, PyWebsockify, SshL, SshLGcm, Stunnel2, StunnelHitch,  # noqa: E402
                   Wstunnel)
from report import Goals, interleaved, ratio, spread  # noqa: E402

US = (Caponier, CaponierCarriers, CaponierFronts, CaponierBeside)
PEERS = (Haproxy2, Haproxy2Default, Haproxy2NoResume, Stunnel2, Nginx2, StunnelHitch, SshL, SshLGcm, PyWebsockify, Wstunnel, Limit,
         LimitOpenssl, CaponierOpenssl)
QUICK = (Haproxy2, Haproxy2NoResume, Stunnel2, SshL, SshLGcm, Limit) + US
ONE = {c.name for c in PEERS + (Caponier,)}  # chains for rows of one stream
QUICK_IDLE = {Haproxy2.name, Caponier.name}
OPENSSL = {LimitOpenssl.name, CaponierOpenssl.name}
TLS = ONE - {Haproxy2Default.name, Haproxy2NoResume.name, Limit.name} - OPENSSL


def rows(seconds, quick):
    """(title, measure, chains that take part); a quick run leaves out those of rows that are long and have no goal with them."""
    limit, many = {Limit.name} | OPENSSL, (TLS - {PyWebsockify.name, Wstunnel.name}) | {CaponierCarriers.name}
    two, beside_client = {CaponierFronts.name}, {CaponierBeside.name}
    beside = {Haproxy2.name, Caponier.name} | two
    if quick:
        many -= {SshL.name, SshLGcm.name, Stunnel2.name}
    else:
        beside |= {Stunnel2.name, SshLGcm.name}
    return [("one stream down", measures.bulk("down", 1, seconds), TLS | limit | {Haproxy2Default.name}),
            ("one stream up", measures.bulk("up", 1, seconds), TLS | limit | {Haproxy2Default.name}),
            ("8 streams down", measures.bulk("down", 8, seconds), many), ("8 streams up", measures.bulk("up", 8, seconds), many),
            ("64 streams down", measures.bulk("down", 64, seconds), many | limit | two | beside_client),
            ("64 streams up", measures.bulk("up", 64, seconds), many | limit | two | beside_client),
            ("round trip of 64 bytes", measures.rtt(seconds), TLS),
            ("round trip beside one stream down", measures.rtt_beside("down", seconds), beside),
            ("round trip beside one stream up", measures.rtt_beside("up", seconds), beside),
            ("set-ups, one at a time", measures.setups(1, seconds), (TLS - {PyWebsockify.name}) | {Haproxy2NoResume.name}),
            ("set-ups, 16 at once", measures.setups(16, seconds), (TLS - {PyWebsockify.name}) | {Haproxy2NoResume.name})]


def judge(done, report, goals):
    """Every goal whose figures this run has."""
    ours, many, two, ha = Caponier.name, CaponierCarriers.name, CaponierFronts.name, Haproxy2.name
    for way in ("down", "up"):
        r = done.get(f"one stream {way}")
        if r:
            goals.least(f"one stream {way} / haproxy2", r.ratio(ours, "MiB/s"), 1.3)
            goals.most(f"gateway CPU a GiB, one stream {way} / haproxy2", r.ratio(ours, "gateway s/GiB"), 0.80)
            for peer, wanted in ((Haproxy2Default.name, 1.2), (Stunnel2.name, 1.5), (SshL.name, 1.5), (SshLGcm.name, 1.05)):
                if r.has(peer):
                    goals.least(f"one stream {way} / {peer}", r.ratio(ours, "MiB/s", peer), wanted)
            goals.most(f"gateway CPU a GiB, one stream {way} / (plain relay + AEAD)", r.ratio(ours, "gateway s/GiB", Limit.name), 1.2)
        r = done.get(f"64 streams {way}")
        if r and r.has(many):
            goals.least(f"64 streams {way} on 64 carriers / haproxy2", r.ratio(many, "MiB/s"), 1.9 if way == "down" else 1.15)
            goals.most(f"gateway CPU a GiB, 64 streams {way} on 64 carriers / haproxy2", r.ratio(many, "gateway s/GiB"), 0.50)
            goals.most(f"gateway CPU a GiB, 64 streams {way} on 64 carriers / (plain relay + AEAD)", r.ratio(many, "gateway s/GiB", Limit.name), 1.2)
        if r and r.has(two):
            # what a GiB costs depends on who shares the core; so one front has been on either, and each counts by the bytes it had of two
            one = [share * near + (1 - share) * apart for share, near, apart in zip(
                r.values(two, "bytes beside the client"), r.values(CaponierBeside.name, "gateway s/GiB"), r.values(ours, "gateway s/GiB"))]
            goals.most(f"CPU a GiB of two fronts / of one on either core, 64 streams {way}", ratio(r.values(two, "gateway s/GiB"), one), 1.1)
        r = done.get(f"round trip beside one stream {way}")
        if r:
            goals.most(f"round trip beside one stream {way}, same front / haproxy2", r.ratio(ours, "p50 us"), 0.8)
            if r.has(two):
                goals.most(f"round trip beside one stream {way}, another front / haproxy2", r.ratio(two, "p50 us"), 0.3)
        if "system calls a MiB" in report:
            goals.most(f"system calls a relayed MiB, {way}", report["system calls a MiB"][way], 16)
    if "round trip of 64 bytes" in done:
        goals.most("round trip p50, idle / haproxy2", done["round trip of 64 bytes"].ratio(ours, "p50 us"), 1.0)
    r = done.get("set-ups, 16 at once")
    if r and r.has(Haproxy2NoResume.name):
        goals.least("set-ups a second, 16 at once / haproxy2 without resumption", r.ratio(ours, "per s", Haproxy2NoResume.name), 1.2)
    r = done.get("set-ups, one at a time")
    if r and r.has(SshL.name):
        goals.most("a further stream on a warm carrier, p50 / ssh -L", r.ratio(ours, "p50 us", SshL.name), 1.0)
        flushed = spread(r.values(SshL.name, "p50 us"))["median"] + report["flush us"]
        goals.most("a further stream on a warm carrier, p50 / (ssh -L + a flush to this disk)", spread(r.values(ours, "p50 us"))["median"] / flushed, 1.0)
    idle = report.get("idle", {})
    for n, cells in idle.get(ours, {}).items():
        if cells:
            if n >= 1000:  # of fewer, what is there once weighs more than they do
                goals.most(f"KiB of an idle session at {n}", cells["gateway KiB"], 16)
            goals.most(f"idle CPU %, {n} sessions", cells["idle CPU %"], 1)
            theirs = idle.get(ha, {}).get(n)
            if theirs and theirs["client KiB"] > 1:
                goals.most(f"client KiB a session at {n} / haproxy2's client", cells["client KiB"] / theirs["client KiB"], 0.6)
    held = {n: c for n, c in idle.get(ours, {}).items() if c}
    if len(held) > 1:
        least, most = held[min(held)], held[max(held)]
        for what in ("gateway KiB", "set-up us"):
            goals.most(f"{what}, {max(held)} sessions / {min(held)}", most[what] / least[what], 1.1)
    if "az door" in report:
        azdoor.judge(report["az door"], goals)
    for title in (setups.TITLE, setups.TITLE_AT_ONCE):
        if title in done:
            setups.judge(done[title], goals)
    people.judge(done, report["client KiB"], goals)


def pictures(done, report, folder):
    names = [c.name for c in US + PEERS]

    def groups(titles, field):
        return [(label, {chain: cells[field] for chain, cells in done[t].table().items()}) for label, t in titles if t in done]

    svg.bars(folder / "throughput.svg", "Throughput against streams", "MiB/s",
             groups([(f"{n} {w}", t) for n, w, t in ((1, "down", "one stream down"), (8, "down", "8 streams down"), (64, "down", "64 streams down"),
                                                     (1, "up", "one stream up"), (8, "up", "8 streams up"), (64, "up", "64 streams up"))],
                    "MiB/s"), names)
    svg.bars(folder / "latency.svg", "Round trip of 64 bytes, p50", "microseconds",
             groups([("alone", "round trip of 64 bytes"), ("beside down", "round trip beside one stream down"),
                     ("beside up", "round trip beside one stream up")], "p50 us"), names)
    svg.bars(folder / "client.svg", "What a person waits for", "milliseconds", groups([(t.split(": ")[1], t) for t in people.WAITS], "ms"),
             ["ssh -J", "caponier ssh", "caponier ssh-config", "caponier connect", "haproxy", "caponier tunnel"])
    idle = report.get("idle", {})
    counts = sorted({n for cells in idle.values() for n in cells})
    svg.bars(folder / "memory.svg", "Gateway memory of an idle session", "KiB",
             [(f"{n} sessions", {c: {k: cells[n]["gateway KiB"] for k in ("median", "min", "max")} for c, cells in idle.items() if cells.get(n)})
              for n in counts], names)


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "congestion": congestion, "date": time.strftime("%Y-%m-%d")}


def arguments():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--quick", action="store_true", help="fewer peers and repetitions, no 9,000 sessions; under three minutes")
    args.add_argument("--out", default=str(BUILD / "bench"), help="folder for bench.json and the pictures")
    args.add_argument("--rows", default="", help="only rows whose title holds this text")
    args.add_argument("--only", help="comma-separated peers besides haproxy2")
    args.add_argument("--repetitions", type=int)
    return args.parse_args()


def wanted(args):
    for cls in (QUICK if args.quick else PEERS + US):
        if cls in US or cls in (Haproxy2, Limit) or not args.only or cls.name in args.only.split(","):
            yield cls


def tail(args, chains, report, folder, target):
    """What is not a row: idle sessions, starts, counts."""
    report["idle"] = {}
    print("\nidle sessions: KiB a session; CPU of a set-up; CPU while idle")
    for c in list(chains):
        if c.name not in (QUICK_IDLE if args.quick else TLS):
            continue
        report["idle"][c.name] = {}
        for n in [1000] if args.quick else [100, 1000, 9000]:
            fresh = type(c)(folder / f"idle-{c.dir.name}-{n}", target)  # memory that earlier rows left would serve these sessions
            chains.append(fresh)
            report["idle"][c.name][n] = measures.idle(fresh, n, 2 if args.quick else 25)
            chains.remove(fresh)
            fresh.close()
        for n, r in report["idle"][c.name].items():
            print(f"    {c.name:20} {n:5}: " + ("; ".join(f"{k} {v:.1f}" for k, v in r.items()) if r else "not reached"), flush=True)
    ours = next(c for c in chains if c.name == Caponier.name)
    report["gateway start ms"] = spread(measures.gateway_start(folder))
    report["handshake us"] = measures.handshake_us()
    report["system calls a MiB"] = {way: min(measures.system_calls(way) for _ in range(3)) for way in ("down", "up")}
    report["az door"] = azdoor.measure(ours, 1.0 if args.quick else 3.0)
    for what in ("gateway start ms", "handshake us", "system calls a MiB", "az door"):
        print(f"{what}: {report[what]}")


def main():
    args = arguments()
    began = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caponier-bench-"))
    folder.chmod(0o755)
    reps, seconds = (3, 0.3) if args.quick else (7, 1.0)
    port = net.free_port()
    target = subprocess.Popen([str(measures.LOAD), "target", str(port)], stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ready\n"
    pin([target.pid], GATEWAY_CPU)
    chains, done, report = [], {}, {"machine": machine(), "repetitions": args.repetitions or reps, "seconds": seconds, "rows": {}}
    try:
        for cls in wanted(args):
            chains.append(cls(folder / cls.name.replace(" ", "-").replace(">", "-"), port))
        print(f"machine: {report['machine']}; {report['repetitions']} repetitions of {seconds} s, interleaved; client and load on one core, "
              "gateway and target on the other; ratio = median of the paired ratios to haproxy2")
        for title, measure, names in rows(seconds, args.quick):
            if args.rows in title and not (args.quick and title.startswith("8 ")):
                done[title] = interleaved(title, [c for c in chains if c.name in names], measure, report["repetitions"], Haproxy2.name)
                report["rows"][title] = done[title].table()
                if title == "set-ups, one at a time":
                    report["flush us"] = measures.flush_us(folder)
        by_name = {c.name: c for c in chains}
        if args.rows in setups.TITLE_AT_ONCE:
            for row in setups.measure(by_name[Caponier.name], report["repetitions"], seconds):
                done[row.title] = row
                report["rows"][row.title] = row.table()
        people_rows, report["client KiB"] = people.measure(by_name[Haproxy2.name], by_name[Caponier.name], folder, seconds, report["repetitions"],
                                                           args.rows)
        done.update(people_rows)
        report["rows"].update({title: row.table() for title, row in people_rows.items()})
        if not args.rows:
            tail(args, chains, report, folder, port)
        goals = Goals()
        judge(done, report, goals)
        goals.show()
        report["goals"] = goals.lines
        out = pathlib.Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
        pictures(done, report, out)
        print(f"\n{time.monotonic() - began:.0f} s; written: {out}")
    finally:
        for c in reversed(chains):
            c.close()
        target.kill()
        target.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
