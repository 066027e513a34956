"""A real sshd with users of its own, in a mount namespace, so the machine's own accounts stay as they are."""
import crypt
import os
import pathlib
import pwd
import select
import subprocess
import time

from .net import ROOT

PASSWORD = "correct horse battery staple"


def keygen(path, kind="ed25519", comment="test"):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", str(path)], check=True)
    return pathlib.Path(path)


class Sshd:
    """User `guest` signs in with PASSWORD or with the key `self.key`. Without root, sshd runs as the
    caller and lets only the caller in, by key."""

    apart = True  # False: no namespace to be had, so no accounts of its own either

    @property
    def user(self):
        return "guest" if ROOT and self.apart else pwd.getpwuid(os.getuid()).pw_name

    def __init__(self, ns, folder, addr, port=22, apart=True, before="true", **options):
        """before: a shell command run where sshd will be, once it has a /run of its own."""
        self.apart, self.before = apart, before
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.addr, self.port = addr, port
        self.home = self.dir / "home"
        self.home.mkdir()
        self.host_key = keygen(self.dir / "host_key")
        self.key = keygen(self.dir / "guest_key")
        (self.home / ".ssh").mkdir(mode=0o700)
        (self.home / ".ssh/authorized_keys").write_text((self.dir / "guest_key.pub").read_text())
        if ROOT and apart:
            self._accounts()
            subprocess.run(["chown", "-R", "1077:1077", str(self.home)], check=True)
        settings = {
            "ListenAddress": f"{addr}:{port}" if ":" not in addr else f"[{addr}]:{port}",
            "HostKey": self.host_key, "PidFile": "none", "UsePAM": "no", "PasswordAuthentication": "yes",
            "StrictModes": "no", "MaxStartups": "500:30:1000", "MaxSessions": "500", "LogLevel": "VERBOSE",
            "AuthorizedKeysFile": self.home / ".ssh/authorized_keys", "Subsystem": "sftp internal-sftp", "PrintMotd": "no", "AcceptEnv": "LANG", "UseDNS": "no",
            **options}
        (self.dir / "sshd_config").write_text("".join(f"{k} {v}\n" for k, v in settings.items()))
        self.log = open(self.dir / "sshd.log", "wb")
        self.process = subprocess.Popen(ns.argv(*self._argv()), stdin=subprocess.DEVNULL, stderr=self.log)
        self._wait()

    def _argv(self):
        run = f"exec /usr/sbin/sshd -D -e -f {self.dir}/sshd_config"
        if not self.apart:
            return ["sh", "-c", f"mkdir -p /run/sshd 2>/dev/null; {run}"]
        if not ROOT:
            return ["unshare", "-U", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", "sh", "-c", run]
        binds = " && ".join(f"mount --bind {self.dir}/{f} /etc/{f}" for f in ("passwd", "shadow", "group"))
        return ["unshare", "-m", "sh", "-c", f"mount -t tmpfs tmpfs /run && mkdir /run/sshd && {binds} && {self.before} && {run}"]

    def _accounts(self):
        base = {f: pathlib.Path("/etc", f).read_text() for f in ("passwd", "shadow", "group")}
        if "\nsshd:" not in base["passwd"]:
            base["passwd"] += "sshd:x:1076:65534::/run/sshd:/usr/sbin/nologin\n"
        base["passwd"] += f"guest:x:1077:1077::{self.home}:/bin/bash\n"
        base["shadow"] += f"guest:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_SHA512, rounds=5000))}:19000:0:99999:7:::\n"
        base["group"] += "guest:x:1077:\n"
        for f, text in base.items():
            (self.dir / f).write_text(text)
            os.chmod(self.dir / f, 0o600 if f == "shadow" else 0o644)

    def _wait(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            text = (self.dir / "sshd.log").read_text()
            if "Server listening" in text:
                return
            if self.process.poll() is not None:
                raise RuntimeError(text)
            select.select([], [], [], 0.02)  # a program of others: polled, bounded
        raise RuntimeError("sshd does not listen")

    def public_host_key(self):
        return " ".join((self.dir / "host_key.pub").read_text().split()[:2])

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
