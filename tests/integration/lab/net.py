"""Network namespaces of the tests' own, and sockets inside them.

The user is outside (where pytest runs), the gateway in one namespace, the machines in another. The
two are joined by a veth pair; no namespace has a default route, so nothing can leave.
"""
import contextlib
import ctypes
import json
import os
import random
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def free_port(host="127.0.0.1"):
    """A port below the ephemeral range that nobody listens on now."""
    for _ in range(200):
        port = random.randint(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port below 32768")


def bound_socket(host="127.0.0.1", backlog=4096):
    """A listening socket on a free port below 32768."""
    for _ in range(200):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, random.randint(10000, 32000)))
            s.listen(backlog)
            return s
        except OSError:
            s.close()
    raise RuntimeError("no free port below 32768")


def dial(port, timeout=20, source=None):
    """To a port of our loopback, without Nagle: behind a TLS 1.3 handshake a request would wait 40 ms for an acknowledgement."""
    s = socket.create_connection(("127.0.0.1", port), timeout, source)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def connections(pid, port):
    """Local ports of a process's TCP connections (IPv4) to a port of this machine."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {int(r[1].split(":")[1], 16) for r in rows if r[2].endswith(f":{port:04X}") and f"socket:[{r[9]}]" in inodes}


ROOT = os.geteuid() == 0


class NoNamespaces(RuntimeError):
    pass


class Namespace:
    """A network namespace that lives as long as its holder process. Without root it lies in a user
    namespace of its own, in which the caller is root; `inside` puts a second one into the same."""

    def __init__(self, inside=None):
        hold = ["sh", "-c", "ip link set lo up && echo up && exec sleep infinity"]
        unshare = ["unshare", "-n"] if ROOT or inside else ["unshare", "-Urn"]
        self.holder = subprocess.Popen((inside.argv() if inside else []) + unshare + hold, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"up\n":
            raise NoNamespaces("this machine gives us no network namespace")
        self.pid = self.holder.pid

    def argv(self, *argv):
        user = [] if ROOT else ["-U", "--preserve-credentials"]
        return ["nsenter", "-t", str(self.pid), *user, "-n", *map(str, argv)]

    def run(self, *argv, **kw):
        return subprocess.run(self.argv(*argv), check=True, **kw)

    def call(self, fn):
        """Run fn in a thread that has entered the namespace; sockets made there stay there."""
        box = {}

        def inside():
            fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                box["result"] = fn()
            except BaseException as e:  # handed to the caller's thread
                box["error"] = e
            finally:
                os.close(fd)

        t = threading.Thread(target=inside)
        t.start()
        t.join()
        if "error" in box:
            raise box["error"]
        return box["result"]

    def bound_socket(self):
        """A listening loopback socket that lies in here but belongs to us."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            subprocess.run(self.argv(
                "/usr/bin/python3", "-c",
                "import socket,sys; s=socket.create_server(('127.0.0.1',0), backlog=4096); "
                f"socket.send_fds(socket.socket(fileno={theirs.fileno()}), [b'x'], [s.fileno()])"),
                pass_fds=[theirs.fileno()], check=True)
            return socket.socket(fileno=socket.recv_fds(ours, 1, 1)[1][0])

    def listen(self, addr, port=0, backlog=128):
        def make():
            s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((addr, port))
            s.listen(backlog)
            return s
        return self.call(make)

    def connect(self, addr, port, timeout=10):
        return self.call(lambda: socket.create_connection((addr, port), timeout))

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class PrivateNetwork:
    """Gateway side 10.77.0.1, machines anywhere in 10.77.0.0/16 and fd77::/64 (add them as you go)."""

    def __init__(self):
        self.gateway = Namespace()
        self.machines = Namespace(inside=self.gateway)
        self.gateway.run("ip", "link", "add", "inside", "type", "veth", "peer", "name", "inside",
                         "netns", self.machines.pid)
        for ns, addr in ((self.gateway, "10.77.0.1"), (self.machines, "10.77.0.2")):
            ns.run("ip", "addr", "add", f"{addr}/16", "dev", "inside")
            ns.run("ip", "-6", "addr", "add", f"fd77::{addr[-1]}/64", "dev", "inside", "nodad")
            ns.run("ip", "link", "set", "inside", "up")
        if not ROOT:  # the caller's own sshd may then listen on 22
            self.machines.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start")
        self._added = set()

    def add(self, addr):
        """Give the machines' side one more address."""
        if addr in self._added:
            return addr
        self._added.add(addr)
        self.machines.run("ip", "addr", "add", addr + ("/64" if ":" in addr else "/16"), "dev", "inside",
                          *(["nodad"] if ":" in addr else []))
        return addr

    def count_dials(self):
        """From now on count what a dial or a datagram sends: SYNs, and all that is neither TCP nor neighbour
        discovery. Late acknowledgements of earlier sessions and address resolution are not dials."""
        rules = """table inet dials {
            counter sent { }
            chain going { type filter hook output priority 0; policy accept;
                oifname "inside" tcp flags & (syn | ack) == syn counter name "sent"
                oifname "inside" meta l4proto != { tcp, ipv6-icmp } counter name "sent"
            }
        }
        """
        self.gateway.run("nft", "-f", "-", input=rules, text=True)

    def dials_out(self):
        out = self.gateway.run("nft", "-j", "list", "counter", "inet", "dials", "sent", stdout=subprocess.PIPE)
        return next(x["counter"]["packets"] for x in json.loads(out.stdout)["nftables"] if "counter" in x)

    def close(self):
        self.machines.close()
        self.gateway.close()


class Here:
    """In place of a namespace where none is to be had: this machine's own loopback."""

    def argv(self, *argv):
        return [str(a) for a in argv]

    def bound_socket(self):
        return bound_socket()

    def close(self):
        pass


class LoopbackNetwork:
    """A stand-in for PrivateNetwork: everything on loopback, nothing kept apart."""

    def __init__(self):
        self.gateway = self.machines = Here()

    def add(self, addr):
        return addr

    def close(self):
        pass
