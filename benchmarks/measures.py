"""One measurement each: a chain in, a dict of figures out."""
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from chains import BUILD, CLIENT_CPU, GATEWAY_CPU, Gateway, Loopback, cpu_seconds, memory_kib, pin

LOAD, MICRO, RELAYBENCH = (BUILD / "benchmarks" / name for name in ("load", "micro", "relaybench"))
TRIES = 3  # a machine that is busy elsewhere may let nothing through in so short a time
WARM_UP = 0.3  # of load down|up: its bytes are not counted, its CPU is


def run(argv, cpu=CLIENT_CPU, timeout=120):
    p = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pin([p.pid], cpu)
    out, complaint = p.communicate(timeout=timeout)
    if p.returncode:
        raise RuntimeError(f"{argv}: {complaint.strip()}")
    return [float(x) for x in out.split()]


def ports(chain, n):
    """Where n streams go; a chain with several clients spreads them."""
    return ",".join(map(str, chain.ports(n)))


def bulk(direction, n, seconds):
    def measure(chain):
        to = ports(chain, n)
        for _ in range(TRIES):
            before, client_before = cpu_seconds(chain.gateway_pids()), cpu_seconds(chain.client_pids())
            took, _, of_first = run([LOAD, direction, n, to, seconds])
            if took:
                break
        else:
            raise RuntimeError(f"{chain.name}: {n} streams {direction}: nothing came through")
        gib, share = took / 2**30, seconds / (seconds + WARM_UP)
        return {"MiB/s": took / 2**20 / seconds, "gateway s/GiB": (cpu_seconds(chain.gateway_pids()) - before) * share / gib,
                "client s/GiB": (cpu_seconds(chain.client_pids()) - client_before) * share / gib,
                **(chain.also(of_first) if "," in to else {})}
    return measure


def rtt(seconds):
    def measure(chain):
        _, p50, p99 = run([LOAD, "rtt", chain.port, seconds])
        return {"p50 us": p50, "p99 us": p99}
    return measure


def rtt_beside(direction, seconds):
    """64-byte round trips while one bulk stream fills the same chain."""
    def measure(chain):
        probe, busy = chain.probe_and_bulk_ports()
        load = subprocess.Popen([str(LOAD), direction, "1", str(busy), str(seconds + 0.5)], stdout=subprocess.DEVNULL)
        try:
            pin([load.pid], CLIENT_CPU)
            time.sleep(0.5)  # the bulk stream is at its full rate, and outlasts the probe by its warm-up
            _, p50, p99 = run([LOAD, "rtt", probe, seconds])
        finally:
            load.wait()
        return {"p50 us": p50, "p99 us": p99}
    return measure


def setups(at_once, seconds):
    def measure(chain):
        before = cpu_seconds(chain.gateway_pids())
        count, took, p50 = run([LOAD, "setup", chain.port, at_once, seconds])
        return {"per s": count / took, "p50 us": p50, "gateway us": (cpu_seconds(chain.gateway_pids()) - before) / count * 1e6}
    return measure


def idle(chain, n, watch_s):
    """KiB a session (PSS of the gateway's processes, Private_Dirty of the clients', less the same at none), CPU while held. None: not reached."""
    if n > chain.streams_max:
        return None
    places, loads = chain.idle_ports(n), []
    clients = [pid for _, _, pid in places]
    base, client_base = memory_kib(chain.gateway_pids(), "Pss"), memory_kib(clients, "Private_Dirty")
    began = cpu_seconds(chain.gateway_pids())
    try:
        for port, share, _ in places:
            loads.append(subprocess.Popen([str(LOAD), "idle", str(share), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            if loads[-1].stdout.readline() != "ready\n":
                return None
        made = cpu_seconds(chain.gateway_pids())
        out = {"gateway KiB": (memory_kib(chain.gateway_pids(), "Pss") - base) / n,
               "client KiB": (memory_kib(clients, "Private_Dirty") - client_base) / n, "set-up us": (made - began) / n * 1e6}
        time.sleep(watch_s)
        return {**out, "idle CPU %": (cpu_seconds(chain.gateway_pids()) - made) / watch_s * 100}
    finally:
        for p in loads:
            p.stdin.close()
            p.wait()
        chain.idle_done()


def gateway_start(folder, n=5):
    times = []
    for i in range(n):
        g = Gateway(Loopback, pathlib.Path(folder) / f"start{i}", fence_allow_loopback=True, fronts=1)
        started = time.monotonic()
        g.start()
        times.append((time.monotonic() - started) * 1000)
        g.close()
    return times


# ---- an anchor ----------------------------------------------------------------------------------


def flush_us(folder, n=100):
    """The disk's part of a set-up: six pages and their heads written over in place, and flushed. The quickest tenth: the rest had
    to wait for the CPU when the disk was done."""
    pages, times = bytes(6 * (4096 + 24)), []
    with tempfile.NamedTemporaryFile(dir=folder) as f:
        f.write(pages * n)
        f.flush()
        os.fsync(f.fileno())
        for i in range(n):
            os.pwrite(f.fileno(), pages, i * len(pages))
            began = time.monotonic()
            os.fdatasync(f.fileno())
            times.append((time.monotonic() - began) * 1e6)
    return statistics.quantiles(times, n=10)[0]


def handshake_us(n=400):
    return run([MICRO, "handshake", n], GATEWAY_CPU)[0]


# ---- counts: no noise ----------------------------------------------------------------------------


def system_calls(direction, mib=256):
    """System calls a relayed MiB of the gateway's process, the gateway being the one that is slowed down."""
    with tempfile.TemporaryDirectory(prefix="caponier-bench-") as folder:
        p = subprocess.Popen([str(RELAYBENCH), direction, str(mib), "held"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        gateway = int(re.search(r"gateway (\d+)", p.stderr.readline()).group(1))
        counter = subprocess.Popen(["strace", "-c", "-S", "calls", "-o", f"{folder}/counts", "-p", str(gateway)], stderr=subprocess.PIPE, text=True)
        counter.stderr.readline()  # attached
        os.kill(gateway, 18)
        p.communicate(timeout=120)
        counter.wait(timeout=60)
        last = pathlib.Path(folder, "counts").read_text().splitlines()[-1]
    return int(last.split()[3 if len(last.split()) > 4 else 2]) / mib
