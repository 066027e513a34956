"""The chains that are compared: each carries a TCP connection from a local port to the same target."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.dont_write_bytecode = True

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


def cpu_seconds(pids):
    """User and system time, of threads that have ended too; to 10 ms."""
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


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
        import socket
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 15, f"{self.name} listens")

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


class Haproxy2(Chain):
    name = "haproxy2"

    def start(self):
        pem, middle = certificate(self.dir), net.free_port()
        common = ("global\n  nbthread 1\n  maxconn 9500\n  ssl-default-bind-ciphersuites " + CIPHER + "\n"
                  "  ssl-default-server-ciphersuites " + CIPHER + "\n"
                  "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n  maxconn 9500\n")
        (self.dir / "server.cfg").write_text(common + f"listen s\n  bind 127.0.0.1:{middle} ssl crt {pem} ssl-min-ver TLSv1.3\n"
                                             f"  server t 127.0.0.1:{self.target}\n")
        (self.dir / "client.cfg").write_text(common + f"listen c\n  bind 127.0.0.1:{self.port}\n  server s 127.0.0.1:{middle} ssl "
                                             f"verify required ca-file {self.dir}/cert.pem verifyhost localhost sni str(localhost)\n")
        self.server = self.spawn("haproxy", "-db", "-f", self.dir / "server.cfg")
        self.client = self.spawn("haproxy", "-db", "-f", self.dir / "client.cfg")
        self.wait_listening(self.port)


class Stunnel2(Chain):
    name = "stunnel2"
    streams_max = 5000

    def start(self):
        pem, middle = certificate(self.dir), net.free_port()
        common = f"foreground = yes\npid =\ndebug = 3\nsslVersionMin = TLSv1.3\nciphersuites = {CIPHER}\nTIMEOUTidle = 3600\n"
        (self.dir / "server.conf").write_text(common + f"[s]\naccept = 127.0.0.1:{middle}\nconnect = 127.0.0.1:{self.target}\ncert = {pem}\n")
        (self.dir / "client.conf").write_text(common + f"[c]\nclient = yes\naccept = 127.0.0.1:{self.port}\nconnect = 127.0.0.1:{middle}\n"
                                              f"verifyChain = yes\nCAfile = {self.dir}/cert.pem\ncheckHost = localhost\n")
        self.server = self.spawn("stunnel", self.dir / "server.conf")
        self.client = self.spawn("stunnel", self.dir / "client.conf")
        self.wait_listening(self.port)


class SshL(Chain):
    name = "ssh-L"
    cipher = None
    streams_max = 500

    def start(self):
        middle = net.free_port()
        for k in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / k], check=True)
        (self.dir / "authorized").write_text((self.dir / "user.pub").read_text())
        os.makedirs("/run/sshd", exist_ok=True)
        (self.dir / "sshd.conf").write_text(
            f"ListenAddress 127.0.0.1:{middle}\nHostKey {self.dir}/host\nAuthorizedKeysFile {self.dir}/authorized\nStrictModes no\n"
            "PermitRootLogin yes\nUsePAM no\nPidFile none\nMaxSessions 2000\n")
        self.server = self.spawn("/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd.conf")
        self.wait_listening(middle)
        self.client = self.spawn("ssh", "-N", "-L", f"127.0.0.1:{self.port}:127.0.0.1:{self.target}", "-p", middle, "-i", self.dir / "user",
                                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                                 *(["-c", self.cipher] if self.cipher else []), "127.0.0.1")
        self.wait_listening(self.port)


class SshLGcm(SshL):
    name = "ssh-L-aes128gcm"
    cipher = "aes128-gcm@openssh.com"


class Loopback:
    """Stands in for the lab's private network: the gateway runs here and may dial loopback."""

    class gateway:
        @staticmethod
        def argv(*argv):
            return [str(a) for a in argv]


class Caponier(Chain):
    name = "caponier"
    fronts = 1

    def start(self):
        self.gw = Gateway(Loopback, self.dir / "gateway", fence_allow_loopback=True, fronts=self.fronts, sessions_per_user=20000,
                          tickets_per_minute=100000)
        self.gw.start()
        self.server = self.gw.process
        admin = self.gw.enrol()
        self.gw.apply({
            "subscriptions": [{"id": "11111111-2222-3333-4444-555555555555", "name": "Bench"}], "groups": [{"name": "lab"}],
            "networks": [{"name": "hub", "group": "lab", "prefixes": ["127.0.0.0/24"]}],
            "machines": [{"name": "target", "group": "lab", "network": "hub", "address": "127.0.0.1"}],
            # a bastion of 50 scale units takes 2,000 SSH sessions: five of them for 9,000
            "bastions": [{"name": f"door{i}", "group": "lab", "network": "hub", "sku": "Standard", "scale_units": 50, "native_client": True,
                          "protocols": ["any"]} for i in range(5)]})
        self.admin = admin
        self.tunnel = self.another(0, self.port)
        self.client = self.tunnel.process

    def another(self, i, port=0):
        return Tunnel(self.admin, "target", "--name", f"door{i}", "--resource-port", self.target, "--port", port).wait_ready()

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
