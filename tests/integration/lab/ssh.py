"""OpenSSH's programs pointed at a local port, with the lab's key or password."""
import subprocess

OPTIONS = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
           "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=20"]


def ssh_argv(sshd, port, *command, options=()):
    return ["ssh", *OPTIONS, *options, "-i", str(sshd.key), "-p", str(port), "guest@127.0.0.1", *command]


def ssh(sshd, port, *command, timeout=60, **kw):
    options = kw.pop("options", ())
    return subprocess.run(ssh_argv(sshd, port, *command, options=options), capture_output=True, timeout=timeout,
                          text=kw.pop("text", True), **kw)


def ssh_password(port, password, *command, timeout=60):
    return subprocess.run(["sshpass", "-p", password, "ssh", *OPTIONS, "-o", "PubkeyAuthentication=no",
                           "-p", str(port), "guest@127.0.0.1", *command],
                          capture_output=True, text=True, timeout=timeout)


def scp(sshd, port, source, target, *flags, timeout=300):
    return subprocess.run(["scp", "-q", *flags, *OPTIONS, "-i", str(sshd.key), "-P", str(port), source, target],
                          capture_output=True, text=True, timeout=timeout)
