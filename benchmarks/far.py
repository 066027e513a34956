"""One stream over a long path, beside a plain TCP connection over the same path: 100 ms there and back, 1 Gbit/s.

far.py [DELAY_MS_EACH_WAY] [MBIT_S] [SECONDS]; CONGESTION names TCP's congestion control, else it is the machine's
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from chains import BUILD, Gateway, Loopback, Tunnel, wait_listening  # noqa: E402
from lab import net  # noqa: E402

LOAD, FARPATH = BUILD / "benchmarks/load", BUILD / "benchmarks/farpath"
HERE, THERE, MTU = "10.88.0.1", "10.88.0.2", 9000


class Network:
    """Where the gateway lives, in the shape the lab wants."""

    def __init__(self, near):
        self.gateway = near


class FarGateway(Gateway):
    """Listens at the far end of the path; its users are at this end."""

    def __init__(self, near, far, folder):
        super().__init__(Network(near), folder, outside=far, fence_allow_loopback=False, fronts=1)
        self.listener.close()
        self.listener = near.listen(THERE, self.port)
        self.url = f"https://{THERE}:{self.port}"
        self.settings.update(listen=[f"{THERE}:{self.port}"], public_url=self.url)


def path(near, far, delay, mbit):
    relay = subprocess.Popen([str(FARPATH), "cpnfar0", "cpnfar1", str(delay), str(mbit)], stdout=subprocess.PIPE)
    assert relay.stdout.readline() == b"ready\n"
    for ns, dev, addr, other in ((far, "cpnfar0", HERE, THERE), (near, "cpnfar1", THERE, HERE)):
        subprocess.run(["ip", "link", "set", dev, "netns", str(ns.pid)], check=True)
        # the default of 4 MiB is 300 Mbit/s at 100 ms: the path, not the kernel's setting, is to be the limit
        ns.run("sh", "-c", "echo 4096 16384 67108864 > /proc/sys/net/ipv4/tcp_wmem; echo 4096 131072 67108864 > /proc/sys/net/ipv4/tcp_rmem")
        if "CONGESTION" in os.environ:
            ns.run("sh", "-c", f"echo {os.environ['CONGESTION']} > /proc/sys/net/ipv4/tcp_congestion_control")
        ns.run("ip", "addr", "add", addr, "peer", other, "dev", dev)
        ns.run("ip", "link", "set", dev, "mtu", str(MTU), "txqueuelen", "10000", "up")
    return relay


def load(ns, direction, addr_port, seconds):
    out = subprocess.run(ns.argv(LOAD, direction, "1", addr_port, seconds), capture_output=True, text=True, check=True)
    return float(out.stdout.split()[0]) * 8 / 1e6 / seconds


def main():
    delay, mbit, seconds = (float(x) for x in (sys.argv[1:] + ["50", "1000", "8"][len(sys.argv) - 1:]))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caponier-far-"))
    folder.chmod(0o755)
    machines = net.PrivateNetwork()
    near, far = machines.gateway, net.Namespace()
    relay = path(near, far, int(delay), int(mbit))
    target = subprocess.Popen(machines.machines.argv(LOAD, "target", "0.0.0.0:20001"), stdout=subprocess.PIPE)
    plain = subprocess.Popen(near.argv(LOAD, "target", "0.0.0.0:20002"), stdout=subprocess.PIPE)
    gw = None
    try:
        assert target.stdout.readline() == plain.stdout.readline() == b"ready\n"
        gw = FarGateway(near, far, folder / "gateway").start()
        admin = gw.enrol()
        gw.apply({"subscriptions": [{"id": "11111111-2222-3333-4444-555555555555", "name": "Bench"}], "groups": [{"name": "lab"}],
                  "networks": [{"name": "hub", "group": "lab", "prefixes": ["10.77.0.0/16"]}],
                  "machines": [{"name": "target", "group": "lab", "network": "hub", "address": "10.77.0.2"}],
                  "bastions": [{"name": "door", "group": "lab", "network": "hub", "sku": "Standard", "native_client": True,
                                "protocols": ["any"]}]})
        tunnel = Tunnel(admin, "target", "--name", "door", "--resource-port", 20001, "--port", 0).wait_ready()
        for direction in ("down", "up"):
            pairs = [(load(far, direction, f"{THERE}:20002", seconds), load(far, direction, str(tunnel.port), seconds)) for _ in range(3)]
            print(f"{direction}: plain TCP {[round(p) for p, _ in pairs]} Mbit/s, through Caponier {[round(c) for _, c in pairs]}; "
                  f"ratio {statistics.median(c / p for p, c in pairs):.2f}", flush=True)
        tunnel.close()
    finally:
        if gw:
            gw.close()
        for p in (target, plain, relay):
            p.kill()
            p.wait()
        far.close()
        machines.close()
        shutil.rmtree(folder, ignore_errors=True)


main()
