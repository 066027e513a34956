"""A gateway of the build under test, and its client, as an administrator and users would run them."""
import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

from . import net

BUILD = pathlib.Path(os.environ.get("CPN_BUILD", pathlib.Path(__file__).parents[3] / "build"))
ARRANGING = pathlib.Path(os.environ.get("CPN_ARRANGING", BUILD))  # its client does what only prepares a test: a sanitizer's start takes long
ADMIN, ADMIN_PASSWORD = "root@example.test", "a long first password 1"
SANITIZED = os.environ.get("CPN_SANITIZED") == "1"
PATIENCE = 3 if SANITIZED else 1  # sanitizer builds are slower; used for upper bounds only


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class User:
    """One person's client: a configuration folder of their own."""

    def __init__(self, gateway, folder):
        self.gateway = gateway
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.dir), "XDG_CONFIG_HOME": str(self.dir / "config"),
                    "CAPONIER_GATEWAY": gateway.url, "LANG": "C.UTF-8",
                    **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}

    client = BUILD  # whose program they use; conftest.py chooses

    def argv(self, *args, build=None):
        return self.gateway.from_outside((build or self.client) / "caponier", *args)

    def run(self, *args, input=None, timeout=60, check=None, build=None):
        done = subprocess.run(self.argv(*args, build=build), env=self.env, input=input, timeout=timeout, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **({} if input is not None else {"stdin": subprocess.DEVNULL}))
        r = Result(done)
        if check is not None:
            assert r.code == check, f"{args}: {r!r}"
        return r

    def ok(self, *args, **kw):
        return self.run(*args, check=0, **kw)

    def arrange(self, *args, **kw):
        """ok of what is not itself under test."""
        return self.ok(*args, build=ARRANGING, **kw)

    def json(self, *args, **kw):
        return self.ok(*args, "-o", "json", **kw).json()

    def login(self, name, password):
        return self.arrange("login", "--username", name, "--password-stdin", "--ca", self.gateway.ca, input=password + "\n")

    @contextlib.contextmanager
    def tunnel(self, *args, port=0, expect_ready=True):
        t = Tunnel(self, *args, "--port", str(port))
        try:
            if expect_ready:
                t.wait_ready()
            yield t
        finally:
            t.close()


class Tunnel:
    """A running `caponier tunnel … -o json`; its standard error is kept for looking at."""

    def __init__(self, user, *args):
        self.errors = open(user.dir / f"tunnel-{time.monotonic_ns()}.err", "w+")
        self.process = subprocess.Popen(user.argv("tunnel", *args, "-o", "json"), env=user.env, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.port = None

    def wait_ready(self, timeout=20):
        readable, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if readable else ""
        assert line, f"no ready line: exit {self.process.poll()}: {self.stderr()}"
        self.ready = json.loads(line)
        self.port = self.ready["port"]
        return self

    def stderr(self):
        self.errors.flush()
        return pathlib.Path(self.errors.name).read_text()

    def close(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        self.errors.close()
        return code


class Gateway:
    """outside: the namespace its users are in; None: ours. under: words before the program's name."""

    def __init__(self, network, folder, outside=None, under=(), **settings):
        self.network = network
        self.outside = outside
        self.under, self.program = under, BUILD / "caponierd"
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.listener = outside.bound_socket() if outside else net.bound_socket()
        self.port = self.listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.state = self.dir / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.ca = self.state / "ca.pem"
        self.admin_port = net.free_port()
        self.settings = {
            "listen": [f"127.0.0.1:{self.port}"], "admin_listen": f"127.0.0.1:{self.admin_port}",
            "public_url": self.url, "state_dir": str(self.state), "fronts": 2, "drain": "2s", "password_memory": "19MiB", **settings}
        self.config = self.dir / "caponierd.yaml"
        self.process = None
        self.users = {}

    def from_outside(self, *argv):
        return self.outside.argv(*argv) if self.outside else [str(a) for a in argv]

    def write_config(self, **changes):
        self.settings.update(changes)
        self.config.write_text(json.dumps(self.settings, indent=1))  # JSON is YAML

    def start(self, wait=True):
        self.write_config()
        ready_r, ready_w = os.pipe()
        lfd = self.listener.fileno()
        self.log = open(self.dir / "caponierd.log", "ab")
        self.process = subprocess.Popen(
            self.network.gateway.argv(*self.under, self.program, "-c", self.config, "--listen-fd", lfd, "--ready-fd", ready_w),
            pass_fds=[lfd, ready_w], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(ready_w)
        try:
            if wait:
                readable, _, _ = select.select([ready_r], [], [], 20 * PATIENCE)
                line = os.read(ready_r, 4096) if readable else b""
                assert b"READY" in line, f"gateway not ready: {self.log_text()[-4000:]}"
        finally:
            os.close(ready_r)
        return self

    def log_text(self):
        return (self.dir / "caponierd.log").read_text(errors="replace")

    def enrol(self, name=ADMIN, password=ADMIN_PASSWORD):
        admin = User(self, self.dir / "admin")
        admin.arrange("login", "--enrol", "--username", name, "--code-file", self.state / "enrolment-code",
                 "--password-stdin", "--ca", self.ca, input=password + "\n")
        self.users[name] = self.admin = admin
        return admin

    def apply(self, inventory, *flags, check=0):
        f = self.dir / f"inventory-{time.monotonic_ns()}.yaml"
        f.write_text(json.dumps(inventory, indent=1))
        return self.admin.run("apply", "-f", f, "--yes", *flags, check=check, timeout=120, build=ARRANGING)

    def user(self, name, password="another long password 2"):
        """A signed-in user without any role."""
        if name not in self.users:
            self.admin.arrange("user", "add", name, "--password-stdin", input=password + "\n")
            u = User(self, self.dir / name.replace("@", "-at-"))
            u.login(name, password)
            u.password = password
            self.users[name] = u
        return self.users[name]

    def pids(self, role):
        """Process ids of 'front', 'control' or 'keeper' below our own process."""
        out = []
        for p in pathlib.Path("/proc").iterdir():
            if not p.name.isdigit():
                continue
            try:
                cmdline = (p / "cmdline").read_bytes().split(b"\0")
                stat = (p / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if stat[0] == "Z":
                continue
            if role == "keeper" and int(p.name) == self.process.pid:
                out.append(int(p.name))
            elif int(stat[1]) == self.process.pid and any(role.encode() in a for a in cmdline[:3]):
                out.append(int(p.name))
        return sorted(out)

    def admin_get(self, path):
        """A request to admin_listen, inside the gateway's namespace: (status, text)."""
        s = self.network.gateway.connect("127.0.0.1", self.admin_port)
        with s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.admin_port}\r\nConnection: close\r\n\r\n".encode())
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def stop(self, sig=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout=15 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
            finally:
                self.log.close()
        return self.process.returncode if self.process else None

    def close(self):
        self.stop()
        self.listener.close()
        for word in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer"):
            assert word not in self.log_text(), self.log_text()[-8000:]


def every_record(admin):
    """The whole audit, page by page."""
    after = 0
    while value := admin.json("audit", "list", "--after", str(after), "--limit", "1000")["value"]:
        yield from value
        after = value[-1]["seq"]


def eventually(check, seconds=10, what="condition"):
    """Poll until check() is true; its value is returned. Bounded, for what other programs do."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        select.select([], [], [], 0.02)
