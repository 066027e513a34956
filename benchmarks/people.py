"""What a person or a script waits for at the client: sign-in on a machine, Ansible, starts, memory; beside ssh -J through a classical bastion."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import time

from azdoor import PythonClient
from chains import BUILD, CLIENT_CPU, GATEWAY_CPU, cpu_time, memory_kib, net, pin, reached
from lab.sshd import Sshd
from measures import LOAD, bulk
from report import interleaved, spread

MACHINES = 10
YARD = "127.0.1.0/24"
ADDRESSES = [f"127.0.1.{11 + i}" for i in range(MACHINES)]
PATH = "/usr/bin:/bin"  # as the lab's users have it
PATIENCE = 120
SESSIONS = (1, 100, 1000)  # held by one tunnel


@contextlib.contextmanager
def on_client_cpu():
    """What is started within runs where clients do. Not by preexec_fn, for which all of this process would be forked: 3 ms."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CLIENT_CPU})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def ask(argv, env):
    """(milliseconds, CPU milliseconds of the process itself) from its start until the target's first byte."""
    began = time.monotonic()
    p = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        p.stdin.write(b"E" + b"x" * 64)
        p.stdin.flush()
        if p.stdout.read(1) != b"E":
            raise RuntimeError(f"{argv}: no answer")
        return (time.monotonic() - began) * 1000, cpu_time(p.pid) * 1000
    finally:
        p.kill()
        p.wait()
        p.stdin.close()
        p.stdout.close()


class Way:
    """How a person reaches the machines."""

    def __init__(self, lab):
        self.lab = lab

    def host(self, i):
        return f"host{i}"

    def ssh(self, *argv):
        """To sign in on the first machine."""
        return ["ssh", "-F", self.config, self.host(0), *argv]

    def environment(self):
        return self.lab.env

    def signed_in(self):
        began = time.monotonic()
        subprocess.run([str(a) for a in self.ssh("true")], env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=True,
                       timeout=PATIENCE)
        return {"ms": (time.monotonic() - began) * 1000}

    def ansible(self):
        """Every machine at once; Ansible's own ControlPersist, begun anew, so that its connections are made too."""
        folder = self.lab.dir / f"a{time.monotonic_ns() % 10**9}"  # short: a control socket's path is too
        folder.mkdir()
        inventory = folder / "hosts"
        inventory.write_text("".join(self.host(i) + "\n" for i in range(MACHINES)))
        env = {**self.environment(), "ANSIBLE_SSH_ARGS": f"-F {self.persistent} -o ControlMaster=auto -o ControlPersist=30s",
               "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder / "local"), "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
               "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
        began = time.monotonic()
        done = subprocess.run(["ansible", "all", "-i", str(inventory), "-f", str(MACHINES), "-m", "ping"], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE)
        took = time.monotonic() - began
        self.end_masters(folder, env)
        if done.stdout.count("SUCCESS") != MACHINES:
            raise RuntimeError(f"ansible by {self.name}: {done.stdout} {done.stderr}")
        return {"s": took}

    def end_masters(self, folder, env):
        for socket in list(folder.iterdir()) + list(self.lab.dir.glob("jump-*")):
            if socket.is_socket():
                subprocess.run(["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "any"], env=env, capture_output=True, check=False)


class SshJ(Way):
    """ssh -J through an sshd that is the bastion. For Ansible the connection to the bastion is shared as well."""

    name = "ssh -J"

    def __init__(self, lab):
        super().__init__(lab)
        known = lab.dir / "known_hosts"
        keys = [f"[127.0.0.1]:{lab.bastion.port} {lab.bastion.public_host_key()}"]
        keys += [f"[{a}]:{lab.sshd.port} {lab.sshd.public_host_key()}" for a in ADDRESSES]
        known.write_text("\n".join(keys) + "\n")
        common = (f"Host *\n  User {lab.sshd.user}\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile {known}\n"
                  "Host bastion\n" f"  HostName 127.0.0.1\n  Port {lab.bastion.port}\n  IdentityFile {lab.bastion.key}\n")
        hosts = "".join(f"Host host{i}\n  HostName {a}\n  Port {lab.sshd.port}\n  IdentityFile {lab.sshd.key}\n"
                        for i, a in enumerate(ADDRESSES))
        self.config = lab.dir / "jump.config"
        self.config.write_text(common + hosts)
        self.persistent = lab.dir / "jump-persistent.config"
        self.persistent.write_text(common + f"  ControlMaster auto\n  ControlPersist 30s\n  ControlPath {lab.dir}/jump-%r\n" + hosts +
                                   "Host host*\n  ProxyJump bastion\n")

    def ssh(self, *argv):
        return ["ssh", "-F", self.config, "-J", "bastion", self.host(0), *argv]

    def first_byte(self):
        ms, cpu = ask(["ssh", "-F", str(self.config), "-W", f"127.0.0.1:{self.lab.target}", "bastion"], self.environment())
        return {"ms": ms, "CPU ms": cpu}


class CaponierSsh(Way):
    """caponier ssh NAME."""

    name = "caponier ssh"

    def ssh(self, *argv):
        return [BUILD / "caponier", "ssh", self.host(0), "--resource-port", self.lab.sshd.port, "--", "-F", self.lab.user_config, *argv]


class CaponierConfig(Way):
    """Plain ssh after caponier ssh-config."""

    name = "caponier ssh-config"

    def __init__(self, lab):
        super().__init__(lab)
        self.config = self.persistent = lab.dir / "stanza.config"
        self.config.write_text(lab.user_config.read_text())
        lab.ours.admin.ok("ssh-config", "--file", self.config)

    def host(self, i):
        return f"host{i}.localhost"


class CaponierConnect(Way):
    name = "caponier connect"

    def first_byte(self):
        ms, cpu = ask([str(BUILD / "caponier"), "connect", "target", str(self.lab.target), "--name", "door0"], self.environment())
        return {"ms": ms, "CPU ms": cpu}


class CaponierTunnel(Way):
    """From exec to the ready line: sign-in stored, decision asked of the gateway."""

    name = "caponier tunnel"

    def listening(self):
        began = time.monotonic()
        p = subprocess.Popen([str(BUILD / "caponier"), "tunnel", "target", "--name", "door0", "--resource-port", str(self.lab.target), "--port", "0",
                              "-o", "tsv"], env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            if not p.stdout.readline():
                raise RuntimeError("caponier tunnel does not listen")
            return {"ms": (time.monotonic() - began) * 1000, "CPU ms": cpu_time(p.pid) * 1000}
        finally:
            p.terminate()
            p.wait()
            p.stdout.close()


class HaproxyClient(Way):
    """HAProxy as the client of the chain haproxy2: from exec until a connection to it succeeds. It asks nobody."""

    name = "haproxy"

    def __init__(self, lab, chain):
        super().__init__(lab)
        self.port = net.free_port()
        self.config = lab.dir / "haproxy.cfg"
        self.config.write_text((chain.dir / "client.cfg").read_text().replace(f":{chain.port}\n", f":{self.port}\n"))

    def listening(self):
        began = time.monotonic()
        p = subprocess.Popen(["haproxy", "-db", "-f", str(self.config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            while not reached(self.port):
                if p.poll() is not None or time.monotonic() > began + PATIENCE:
                    raise RuntimeError("haproxy does not listen")
                time.sleep(0.0005)
            return {"ms": (time.monotonic() - began) * 1000, "CPU ms": cpu_time(p.pid) * 1000}
        finally:
            p.terminate()
            p.wait()


class Lab:
    """Ten machines (one sshd at ten addresses) behind the chain's gateway, and a classical bastion (another sshd) in front of them too."""

    def __init__(self, folder, ours):
        self.dir, self.ours, self.target = pathlib.Path(folder), ours, ours.target
        self.dir.mkdir(parents=True)
        self.port = net.free_port()
        self.sshd = Sshd(net.Here(), self.dir / "machines", ADDRESSES[0], self.port, apart=False,
                         ListenAddress="\nListenAddress ".join(f"{a}:{self.port}" for a in ADDRESSES))
        self.bastion = Sshd(net.Here(), self.dir / "bastion", "127.0.0.1", net.free_port(), apart=False)
        pin([self.sshd.process.pid, self.bastion.process.pid], GATEWAY_CPU)
        machines = [{"name": f"host{i}", "group": "lab", "network": "yard", "address": a, "host_keys": [self.sshd.public_host_key()]}
                    for i, a in enumerate(ADDRESSES)]
        ours.gw.apply({**ours.inventory(), "networks": [*ours.inventory()["networks"], {"name": "yard", "group": "lab", "prefixes": [YARD]}],
                       "machines": [*ours.inventory()["machines"], *machines],
                       "bastions": [*ours.inventory()["bastions"], {"name": "gate", "group": "lab", "network": "yard", "sku": "Standard",
                                                                    "scale_units": 50, "native_client": True}]})
        self.env = {**ours.admin.env, "HOME": str(self.dir)}
        self.user_config = self.dir / "user.config"
        self.user_config.write_text(f"Host *\n  User {self.sshd.user}\n  Port {self.port}\n  IdentitiesOnly yes\n  IdentityFile {self.sshd.key}\n")

    def close(self):
        self.sshd.close()
        self.bastion.close()


def memory(chain):
    """{sessions: KiB of Private_Dirty} of one tunnel's client that holds so many, each of which has carried a byte."""
    tunnel, held, out = chain.another(len(chain.inventory()["bastions"]) - 1), [], {}
    try:
        for n in SESSIONS:
            held.append(subprocess.Popen([str(LOAD), "idle", str(n - sum(out)), str(tunnel.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            if held[-1].stdout.readline() != b"ready\n":
                raise RuntimeError(f"{n} sessions of one client are not reached")
            out[n] = memory_kib([tunnel.process.pid], "Private_Dirty")
    finally:
        for p in held:
            p.stdin.close()
            p.wait()
        tunnel.close()
    return out


ROWS = (("client: ssh NAME true", Way.signed_in, (SshJ, CaponierSsh, CaponierConfig), 2),
        ("client: start to first byte", lambda way: way.first_byte(), (SshJ, CaponierConnect), 4),
        ("client: start to listening", lambda way: way.listening(), (HaproxyClient, CaponierTunnel), 4),
        ("client: ten Ansible hosts", Way.ansible, (SshJ, CaponierConfig), 1))
WAITS = [r[0] for r in ROWS[:3]]  # in milliseconds
UPLOAD, MEMORY = "client: upload", "client: memory"


def there(title):
    if "Ansible" not in title or shutil.which("ansible", path=PATH):
        return True
    print(f"\n{title}: not measured, since there is no ansible in {PATH} (Debian has it in ansible-core)")
    return False


def measure(haproxy2, ours, folder, seconds, repetitions, asked):
    """({title: Row}, {sessions: KiB}), of titles that hold the text. The baseline of each row is its first chain; short ones are repeated more."""
    done, rows = {}, [r for r in ROWS if asked in r[0] and there(r[0])]
    lab = Lab(folder / "people", ours) if rows else None
    try:
        for title, one, who, times in rows:
            ways = [cls(lab, haproxy2) if cls is HaproxyClient else cls(lab) for cls in who]
            with on_client_cpu():
                done[title] = interleaved(title, ways, one, repetitions * times, who[0].name)
    finally:
        if lab:
            lab.close()
    if asked in UPLOAD:
        with PythonClient(ours) as python:
            done[UPLOAD] = interleaved(UPLOAD, [python, ours], bulk("up", 1, seconds), repetitions, python.name)
    held = memory(ours) if asked in MEMORY else {}
    if held:
        print(f"\n{MEMORY}: KiB of Private_Dirty of one tunnel by its sessions: {held}")
    return done, held


def judge(done, held, goals):
    signed_in, first, listening, ansible, upload = (done.get(t) for t in [r[0] for r in ROWS] + [UPLOAD])
    for way in (CaponierSsh, CaponierConfig) if signed_in else ():
        goals.most(f"ssh NAME true, {way.name} / ssh -J", signed_in.ratio(way.name, "ms"), 1.3)
    if first:
        goals.most("caponier connect, CPU ms until the first byte", spread(first.values(CaponierConnect.name, "CPU ms"))["median"], 20)
    if listening:
        goals.most("client start to listening, ms", spread(listening.values(CaponierTunnel.name, "ms"))["median"], 10)
    if ansible:
        goals.most("ten Ansible hosts, ssh-config / ssh -J with ControlPersist", ansible.ratio(CaponierConfig.name, "s"), 1.0)
    if upload:
        goals.least("upload / Python client of the Azure CLI's shape", upload.ratio("caponier", "MiB/s", PythonClient.name), 4)
    for n, kib in held.items():
        goals.most(f"client Private_Dirty KiB, {n} sessions", kib, 3 * 1024 + 18 * n)
