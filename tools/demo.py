"""The guided tour behind ./demo: a private machine, a gateway joined to it, and you, outside."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT_DIR = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT_DIR / "tests/integration"))
sys.dont_write_bytecode = True

from lab import net  # noqa: E402
from lab.gateway import ADMIN, BUILD, Gateway, Tunnel  # noqa: E402
from lab.sshd import PASSWORD, Sshd  # noqa: E402

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
VM_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/lab/providers/Microsoft.Compute/virtualMachines/web1"
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_CHILD_SUBREAPER = 36


def say(text):
    print(f"\n\033[1m{text}\033[0m" if COLOUR else f"\n{text}", flush=True)


def show(argv, name=None, **kw):
    """Print a command as a person would type it, run it, print what it says."""
    print("  $ " + (name or " ".join(str(a) for a in argv)), flush=True)
    done = subprocess.run([str(a) for a in argv], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, **({"stdin": subprocess.DEVNULL} | kw))
    for line in done.stdout.splitlines():
        print("    " + line)
    return done


def stop(signum, frame):
    raise SystemExit(128 + signum)


def children():
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(") ", 1)[1].split()[1]) == os.getpid():
                yield int(stat.parent.name)


def end_children():
    """What nobody closes: a signal came while it was being started, or its parent is gone and it is ours."""
    while left := list(children()):
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Tour:
    def __init__(self, folder):
        self.dir = folder
        self.open = contextlib.ExitStack()

    def own(self, thing):
        self.open.callback(thing.close)
        return thing

    def ssh(self, port, *command, password=False, program="ssh"):
        options = ["-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={self.dir}/known_hosts",
                   "-o", "HostKeyAlias=web1", "-o", "LogLevel=ERROR", "-i", str(self.sshd.key)]
        return self.outside.argv() + [program, *options, *(["-P"] if program == "scp" else ["-p"]), str(port), *command]

    def caponier(self, user, *args, **kw):
        return show(user.argv(*args), name="caponier " + " ".join(str(a) for a in args), env=user.env, **kw)

    def build_lab(self):
        say("1. The lab: a private machine (a real sshd), a gateway joined to it, and you, outside.")
        try:
            self.network, self.address, self.ssh_port = self.own(net.PrivateNetwork()), "10.77.1.4", 22
            self.outside = self.own(net.Namespace(inside=self.network.gateway))
        except net.NoNamespaces as e:
            print(f"  NOTE: {e}: everything stands on loopback instead. The tour works, but nothing is private in it.")
            self.network, self.outside, self.address, self.ssh_port = net.LoopbackNetwork(), net.Here(), "127.0.0.1", net.free_port()
        apart = self.ssh_port == 22
        self.network.add(self.address)
        self.sshd = self.own(Sshd(self.network.machines, self.dir / "web1", self.address, self.ssh_port, apart=apart))
        self.gateway = self.own(Gateway(self.network, self.dir / "gateway", outside=self.outside,
                                        **({} if apart else {"fence_allow_loopback": True})))
        if apart:
            kind = "network namespaces" if net.ROOT else "network namespaces inside an unprivileged user namespace"
            print(f"  web1 is {self.address} in a network of its own ({kind}). You have no way to it:")
            show(self.outside.argv("ssh", "-o", "BatchMode=yes", f"{self.sshd.user}@{self.address}"), name=f"ssh guest@{self.address}")
        self.gateway.start()
        print(f"  The gateway serves {self.gateway.url} (its one TLS port; its own CA for localhost).")

    def set_up(self):
        say("2. The first administrator enrols with the one-time code that the gateway wrote, and describes the network.")
        self.admin = self.gateway.enrol()
        print(f"  $ caponier login --enrol --username {ADMIN} --code-file STATE/enrolment-code --ca STATE/ca.pem")
        text = (ROOT_DIR / "examples/demo.yaml").read_text()
        if self.ssh_port != 22:
            text = text.replace("10.77.1.4", "127.0.0.1").replace("10.77.1.0/24", "127.0.0.0/24")
        (self.dir / "demo.yaml").write_text(text)
        print((self.dir / "demo.yaml").read_text().rstrip().replace("\n", "\n    ").join(["    ", ""]))
        self.caponier(self.admin, "apply", "-f", self.dir / "demo.yaml", "--yes")
        self.ada = self.gateway.user("ada@example.test")
        self.admin.ok("role", "assign", "--assignee", "ada@example.test", "--role", "Reader", "--scope",
                      f"/subscriptions/{SUBSCRIPTION}/resourceGroups/lab")
        self.eve = self.gateway.user("eve@example.test")
        print("  ada@example.test has Reader on the group lab; eve@example.test has nothing.")

    def connect(self):
        say("3. Ada, outside, signs in and opens the tunnel: the article's own steps.")
        self.caponier(self.ada, "account", "list")
        self.caponier(self.ada, "account", "set", "--subscription", SUBSCRIPTION)
        args = ["--name", "door", "--resource-group", "lab", "--target-resource-id", VM_ID, "--resource-port", str(self.ssh_port)]
        print(f"  $ caponier network bastion tunnel {' '.join(args)} --port 0 &")
        self.tunnel = self.own(Tunnel(self.ada, *args, "--port", "0").wait_ready())
        port = self.tunnel.port
        print(f"    listening on 127.0.0.1:{port}")
        who = f"{self.sshd.user}@127.0.0.1"
        show(self.ssh(port, who, "echo inside $(hostname), from $SSH_CLIENT"), name=f"ssh {who} -p {port} 'echo inside …'")
        say("4. A file up, and down again.")
        f = self.dir / "report.txt"
        f.write_bytes(os.urandom(1 << 20))
        up = f"{self.sshd.home}/report.txt"
        show(self.ssh(port, str(f), f"{who}:{up}", program="scp"), name=f"scp -P {port} report.txt {who}:report.txt")
        show(self.ssh(port, f"{who}:{up}", str(self.dir / "back.txt"), program="scp"), name=f"scp -P {port} {who}:report.txt back.txt")
        show(["sha256sum", "report.txt", "back.txt"], cwd=self.dir)
        assert f.read_bytes() == (self.dir / "back.txt").read_bytes()

    def refuse_and_show(self):
        say("5. Eve may not: the refusal names each missing role and its scope, exit status 3.")
        r = self.caponier(self.eve, "tunnel", "--name", "door", "--resource-group", "lab", "--subscription", SUBSCRIPTION,
                          "--target-resource-id", VM_ID, "--port", "0")
        print(f"    (exit status {r.returncode})")
        assert r.returncode == 3
        say("6. While Ada is inside, the administrator sees the session, and the audit has it all.")
        shell = subprocess.Popen(self.ssh(self.tunnel.port, f"{self.sshd.user}@127.0.0.1", "cat"), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        shell.stdin.write(b"x\n")
        shell.stdin.flush()
        shell.stdout.readline()
        self.caponier(self.admin, "session", "list")
        self.caponier(self.admin, "session", "disconnect", "--user", "ada@example.test")
        shell.wait(timeout=10)
        print(f"    (Ada's ssh ended, status {shell.returncode})")
        self.caponier(self.admin, "audit", "list", "--user", "ada@example.test")
        self.caponier(self.admin, "audit", "verify")

    def keep(self):
        say("It keeps running. In another terminal, be one of them (a shell outside, signed in):")
        for name, user in (("admin", self.admin), ("ada", self.ada), ("eve", self.eve)):
            script = self.dir / f"as-{name}"
            env = " ".join(f"{k}='{v}'" for k, v in user.env.items() if k not in ("PATH", "LANG"))
            script.write_text(f"#!/bin/sh\nexec {' '.join(self.outside.argv('env', env))} PATH={BUILD}:$PATH sh -i\n")
            script.chmod(0o755)
            print(f"    {script.relative_to(ROOT_DIR)}")
        print("  There, try:\n    caponier tunnel web1 --name door --port 50022 &")
        print(f"    ssh -i {self.sshd.key} -o HostKeyAlias=web1 -p 50022 {self.sshd.user}@127.0.0.1"
              + (f"      # or password: {PASSWORD}" if net.ROOT else ""))
        print("Ctrl-C ends it and leaves nothing behind.", flush=True)
        # Only now: what was started inherits the mask, and is to hear the SIGTERM that ends it.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        signal.sigwait(STOPS)


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    for s in STOPS:
        if signal.getsignal(s) != signal.SIG_IGN:  # as nohup and a shell's & have it
            signal.signal(s, stop)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT_DIR / "build"))
    folder.chmod(0o755)
    tour = Tour(folder)
    started = time.monotonic()
    try:
        # A terminal's Ctrl-C goes to all that we started, too; with --keep they are to be closed in order.
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT} if "--keep" in sys.argv else set())
        tour.build_lab()
        tour.set_up()
        tour.connect()
        tour.refuse_and_show()
        say(f"That was all, in {time.monotonic() - started:.1f} s.")
        if "--keep" in sys.argv:
            tour.keep()
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # one is enough
        try:
            tour.open.close()
        finally:
            end_children()
            shutil.rmtree(folder, ignore_errors=True)


main()
