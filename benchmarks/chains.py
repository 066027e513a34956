"""What a chain is (it carries a TCP connection from a local port to the target), and Caponier as one. Others: rivals.py."""
import contextlib
import itertools
import os
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
BUILD = ROOT / "build"
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.dont_write_bytecode = True
os.environ["CPN_BUILD"] = str(BUILD)  # before the lab reads it

from lab import net  # noqa: E402
from lab.gateway import Gateway, Tunnel, eventually  # noqa: E402

CLIENT_CPU, GATEWAY_CPU = 0, 1
CIPHER = "TLS_AES_128_GCM_SHA256"


def children(pid):
    out = [pid]
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                out += children(int(child))
    except OSError:
        pass
    return out


def cpu_time(pid):
    """Seconds of user and system time of one process that lives, of its threads that have ended too, to the nanosecond
    (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def cpu_seconds(pids):
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has gone
            total += cpu_time(pid)
    return total


def memory_kib(pids, field):
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def pin(pids, cpu):
    """Every thread of these processes on one CPU, as far as there are two."""
    if os.cpu_count() < 2:
        return
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})


def reached(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def connections_to(port):
    """How many TCP connections to a local port are established."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(remote.endswith(f":{port:04X}") and state == "01" for _, _, remote, state, *_ in lines)


def wait_listening(port, what):
    eventually(lambda: reached(port), 15, f"{what} listens")


class Chain:
    """name, port (where a load connects), and the processes of both ends."""

    streams_max = 9000

    def __init__(self, folder, target_port):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.target = target_port
        self.port = net.free_port()
        self.procs = []
        self.start()
        self.pin()

    def spawn(self, *argv, **kw):
        p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=open(self.dir / "stderr", "ab"), start_new_session=True, **kw)
        self.procs.append(p)
        return p

    def wait_listening(self, port):
        wait_listening(port, self.name)

    def ports(self, n):
        """Where n streams go, in turn."""
        return [self.port]

    def probe_and_bulk_ports(self):
        return self.port, self.port

    def pin(self):
        """The load and the tunnel's client on one CPU, gateway and target on the other."""
        pin(self.gateway_pids(), GATEWAY_CPU)
        pin(self.client_pids(), CLIENT_CPU)

    def idle_ports(self, n):
        return [(self.port, n, self.client.pid)]

    def idle_done(self):
        pass

    def gateway_pids(self):
        return children(self.server.pid)

    def client_pids(self):
        return children(self.client.pid)

    def close(self):
        for p in reversed(self.procs):
            p.terminate()
        for p in self.procs:
            try:
                p.wait(timeout=10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()


def certificate(folder):
    pem = folder / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    pem.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return pem


class Loopback:
    """Stands in for the lab's private network: the gateway runs here and may dial loopback."""

    class gateway:
        @staticmethod
        def argv(*argv):
            return [str(a) for a in argv]


class Caponier(Chain):
    name = "caponier"
    fronts = 1
    options = ()
    tls_aes = "auto"

    def start(self):
        self.gw = Gateway(Loopback, self.dir / "gateway", fence_allow_loopback=True, fronts=self.fronts, sessions_per_user=20000,
                          tickets_per_minute=100000, carriers_per_user=1000, tls_aes=self.tls_aes)
        self.gw.start()
        self.server = self.gw.process
        admin = self.gw.enrol()
        admin.env["CAPONIER_TLS_AES"] = self.tls_aes
        self.gw.apply(self.inventory())
        self.admin = admin
        self.tunnel = self.another(0, self.port)
        self.client = self.tunnel.process

    @staticmethod
    def inventory():
        return {
            "subscriptions": [{"id": "11111111-2222-3333-4444-555555555555", "name": "Bench"}], "groups": [{"name": "lab"}],
            "networks": [{"name": "hub", "group": "lab", "prefixes": ["127.0.0.0/24"]}],
            "machines": [{"name": "target", "group": "lab", "network": "hub", "address": "127.0.0.1"}],
            # a bastion of 50 scale units takes 2,000 SSH sessions: five of them for 9,000
            "bastions": [{"name": f"door{i}", "group": "lab", "network": "hub", "sku": "Standard", "scale_units": 50, "native_client": True,
                          "protocols": ["any"]} for i in range(5)]}

    def another(self, i, port=0):
        return Tunnel(self.admin, "target", "--name", f"door{i}", "--resource-port", self.target, "--port", port,
                      *self.options).wait_ready()

    def idle_ports(self, n):
        """Where n idle connections go: [(port, how many, client process)]."""
        share = -(-n // -(-n // 1900))
        tunnels = [self.tunnel] + [self.another(i) for i in range(1, -(-n // 1900))]
        self.extra = tunnels[1:]
        return [(t.port, min(share, n - i * share), t.process.pid) for i, t in enumerate(tunnels)]

    def idle_done(self):
        for t in self.extra:
            t.close()

    def close(self):
        self.tunnel.close()
        self.gw.close()
        super().close()


class CaponierCarriers(Caponier):
    """A TLS connection for each stream, in one client process as the other chains have it."""

    name = "caponier-64-carriers"
    options = ("--carriers", 64)

    def start(self):
        super().start()
        eventually(lambda: connections_to(self.gw.port) == 64, 30, "every carrier is made")


class CaponierOpenssl(Caponier):
    """With OpenSSL's own cipher, as all other chains have it."""

    name = "caponier-openssl-aes"
    tls_aes = "openssl"


class CaponierBeside(Caponier):
    """The front beside the client, away from the target: where one of two fronts on two cores is."""

    name = "caponier-beside-client"

    def pin(self):
        super().pin()
        pin(self.gw.pids("front"), CLIENT_CPU)


class CaponierFronts(Caponier):
    """Two fronts; the probe's carrier is on another one than the bulk stream's."""

    name = "caponier-2-fronts"
    fronts = 2

    def front_of(self, tunnel):
        with socket.create_connection(("127.0.0.1", tunnel.port)) as s:
            s.sendall(b"E")
            s.recv(1)
            return max(self.admin.json("session", "list")["value"], key=lambda r: r["startTime"])["front"]

    def start(self):
        super().start()
        self.other = None
        self.first = self.front_of(self.tunnel)
        for _ in itertools.repeat(None, 40):  # which front accepts is the kernel's choice
            other = self.another(1)
            if self.front_of(other) != self.first:
                self.other = other
                return
            other.close()
        raise RuntimeError("every carrier came to the same front")

    def pin(self):
        super().pin()
        pin([self.other.process.pid], CLIENT_CPU)
        # each front on a core of its own, as an operator of two cores has them: that of the first port beside the client
        for pid in self.gw.pids("front"):
            mine = f"--number={self.first}".encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            pin([pid], CLIENT_CPU if mine else GATEWAY_CPU)

    def also(self, of_first):
        """What else to keep of a measurement in which the first port had that share of the bytes."""
        return {"bytes beside the client": of_first}

    def probe_and_bulk_ports(self):
        return self.other.port, self.port

    def ports(self, n):
        return [self.port, self.other.port]

    def client_pids(self):
        return super().client_pids() + [self.other.process.pid]

    def close(self):
        if self.other:
            self.other.close()
        super().close()
