"""`caponier ssh-config --auth-type aad`: plain ssh, scp, rsync and git sign in as who is signed in at the gateway, without a key or password.
Ansible does too: peers/test_ansible.py."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from lab import net, vscode
from lab.gateway import PATIENCE, User, eventually
from test_ssh_certificates import People
from test_ssh_identity import LIST, files, guest, lab  # noqa: F401

pytestmark = pytest.mark.skipif(not net.ROOT, reason="sshd gives other accounts only to root")


@pytest.fixture
def config(guest):  # noqa: F811
    """guest's configuration: the stanza, then what a person may have in it and what must not matter."""
    path = guest.dir / "sshconfig"
    path.write_text("Host *\n    LogLevel ERROR\n    User nobody\n    IdentitiesOnly yes\n    PubkeyAuthentication no\n    ConnectTimeout 20\n")
    guest.ok("ssh-config", "--auth-type", "aad", "--suffix", "lab", "--file", path)
    guest.env.pop("SSH_AUTH_SOCK", None)
    yield path
    for p in agents(guest):
        if pid := serving(p):
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not agents(guest), what="the agents to end")


def folder_of(user):
    return user.dir / "config/caponier/agent.d"


def agents(user):
    return [p for p in folder_of(user).glob("*") if p.is_socket()] if folder_of(user).exists() else []


def machine_of(path):
    """The name that ssh was given, which its socket has in front of the gateway's mark."""
    return path.name.rpartition(".")[0]


def serving(path):
    """The process that listens there now: SO_PEERCRED tells who called listen, which was its parent."""
    inode = next((line.split()[6] for line in open("/proc/net/unix") if line.rstrip().endswith(str(path)) and line.split()[3] == "00010000"), None)  # it listens
    for fd in pathlib.Path("/proc").glob("[0-9]*/fd/3"):
        try:
            if os.readlink(fd) == f"socket:[{inode}]":
                return int(fd.parts[2])
        except OSError:
            continue
    return None


def ssh(user, config, *args, **kw):
    return subprocess.run(["ssh", "-F", str(config), *map(str, args)], env=user.env, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **kw)


def listed(path):
    """The comment of what the agent holds."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(path))
        s.sendall(LIST)
        answer = s.recv(int.from_bytes(s.recv(4), "big"), socket.MSG_WAITALL)
    n = int.from_bytes(answer[5:9], "big")
    return answer[9 + n + 4:].decode()


def test_a_name_is_enough(guest, config):  # noqa: F811
    r = ssh(guest, config, "web1.lab", "id -un; echo ${SSH_AUTH_SOCK:-none}; exit 7")
    assert (r.returncode, r.stdout) == (7, "guest\nnone\n"), r
    (path,) = agents(guest)
    assert machine_of(path) == "web1.lab" and path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert listed(path).startswith("guest@example.test at https://") and listed(path).endswith("/virtualMachines/web1")
    first = serving(path)
    assert first
    for _ in range(2):
        assert ssh(guest, config, "web1.lab", "true").returncode == 0
    assert serving(path) == first  # one agent a machine, found again
    assert ssh(guest, config, "root@web1.lab", "true").returncode == 255  # another account is asked for by name, and refused
    for p in files(guest.dir):
        if p.is_file():
            assert b"PRIVATE KEY" not in p.read_bytes() and b"ssh-ed25519-cert" not in p.read_bytes(), p


def test_scp_sftp_rsync_and_git(guest, config, lab, tmp_path):  # noqa: F811
    block = os.urandom(300000)
    (tmp_path / "up").write_bytes(block)

    def run(*argv, **kw):
        r = subprocess.run([str(a) for a in argv], env=guest.env, capture_output=True, text=True, timeout=60, **kw)
        assert r.returncode == 0, r
        return r.stdout

    run("scp", "-qF", config, tmp_path / "up", "web1.lab:up1")
    run("sftp", "-qF", config, "-b", "-", "web1.lab", input=f"get up1 {tmp_path}/down\n")
    assert (tmp_path / "down").read_bytes() == block
    run("rsync", "-e", f"ssh -F {config}", tmp_path / "up", "web1.lab:up2")
    assert ssh(guest, config, "web1.lab", "cmp up1 up2 && rm -rf up1 up2 id.git && git init -q --bare id.git").returncode == 0
    run("git", "-c", f"core.sshCommand=ssh -F {config}", "clone", "-q", "web1.lab:id.git", tmp_path / "clone", )
    assert (tmp_path / "clone/.git").is_dir() and len(agents(guest)) == 1


def test_the_way_of_vs_code(guest, config, lab, tmp_path):  # noqa: F811
    """Its -D and its channels are all permitted by the certificate, with settings as they come."""
    vscode.go(guest, config, "web1.lab", tmp_path / "ctl", lab.machines["web1"].addr, lambda: None)


def test_many_at_once_share_one_agent_a_machine(guest, config, lab):  # noqa: F811
    """As Ansible does it: a dozen at once, some to the same machine, none of them there before."""
    runs = [subprocess.Popen(["ssh", "-F", str(config), f"{m}.lab", "id -un"], env=guest.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for m in ("web1", "db1") * 6]
    for p in runs:
        out, err = p.communicate(timeout=60)
        assert (p.returncode, out) == (0, "guest\n"), err
    assert sorted(map(machine_of, agents(guest))) == ["db1.lab", "web1.lab"]
    eventually(lambda: len({pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                            if str(folder_of(guest)).encode() in command(pid)}) == 2, what="two agents and no more")


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_machine_without_the_role_is_refused_by_name(guest, config):  # noqa: F811
    r = ssh(guest, config, "scripted.lab", "true")
    assert r.returncode == 255 and r.stderr.count("Virtual Machine User Login") == 1, r
    assert not agents(guest)


def test_it_ends_when_nobody_asks(guest, config):  # noqa: F811
    config.write_text(config.read_text().replace(" --suffix", " --identity-idle 3 --suffix"))
    assert ssh(guest, config, "web1.lab", "true").returncode == 0
    (path,) = agents(guest)
    pid = serving(path)
    for _ in range(3):
        time.sleep(1.5)
        assert listed(path)  # being asked keeps it
    assert serving(path) == pid
    eventually(lambda: not agents(guest) and not command(pid), what="its end")
    assert [p.name for p in folder_of(guest).iterdir()] == [".lock"]


def test_killed_stopped_or_of_another_machine_it_is_replaced(guest, config):  # noqa: F811
    assert ssh(guest, config, "web1.lab", "true").returncode == 0
    (path,) = agents(guest)
    first = serving(path)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not command(first), what="its death")
    assert ssh(guest, config, "web1.lab", "true").returncode == 0
    second = serving(path)
    assert second not in (None, first)
    assert ssh(guest, config, "db1.lab", "true").returncode == 0
    (other,) = (p for p in agents(guest) if machine_of(p) == "db1.lab")
    os.rename(other, path)  # now web1's place serves db1's key
    assert ssh(guest, config, "web1.lab", "id -un").stdout == "guest\n"
    assert listed(path).endswith("/virtualMachines/web1")
    for pid in (second, *serving_all(guest)):
        if b"agent.d" in command(pid):
            os.kill(pid, signal.SIGTERM)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as squatter:  # one that never answers, and whose queue is full
        squatter.bind(str(path))
        squatter.listen(0)
        held = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for h in held:
            h.setblocking(False)
            h.connect_ex(str(path))
        start = time.monotonic()
        assert ssh(guest, config, "web1.lab", "id -un").stdout == "guest\n"
        assert time.monotonic() - start < 30 * PATIENCE
        for h in held:
            h.close()


def serving_all(user):
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if str(folder_of(user)).encode() in command(pid)]


@pytest.mark.parametrize("spoil", ["link", "wide", "file"])
def test_a_folder_that_others_reach_is_not_used(guest, config, tmp_path, spoil):  # noqa: F811
    folder = folder_of(guest)
    for p in folder.glob("*") if folder.exists() else ():
        p.unlink()
    if folder.exists():
        (folder / ".lock").unlink(missing_ok=True)
        folder.rmdir()
    if spoil == "link":
        (tmp_path / "real").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "real")
    elif spoil == "wide":
        folder.mkdir()
        folder.chmod(0o755)
    else:
        folder.write_text("")
    try:
        r = ssh(guest, config, "web1.lab", "true")
        assert r.returncode == 255 and "agent.d" in r.stderr, r
    finally:
        folder.rmdir() if spoil == "wide" else folder.unlink()


def test_another_user_gets_nothing(guest, config):  # noqa: F811
    assert ssh(guest, config, "web1.lab", "true").returncode == 0
    (path,) = agents(guest)
    code = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ntry:\n s.connect(sys.argv[1])\n s.sendall(bytes([0,0,0,1,11]))\n" \
           " sys.exit(4 if s.recv(1) else 0)\nexcept OSError: sys.exit(3)"
    argv = ["setpriv", "--reuid=1078", "--regid=1078", "--clear-groups", "/usr/bin/python3", "-c", code, str(path)]
    assert subprocess.run(argv, timeout=30).returncode == 3
    before = {p: p.stat().st_mode & 0o7777 for p in (path, *path.parents) if guest.dir in (p, *p.parents)}
    try:
        for p in before:
            p.chmod(0o777)
        assert subprocess.run(argv, timeout=30).returncode in (0, 3)
    finally:
        for p, mode in before.items():
            p.chmod(mode)
    assert listed(path)


def test_after_signing_out_it_answers_nothing(lab, tmp_path):  # noqa: F811
    user = lab.users["boss@example.test"]
    config = tmp_path / "config"
    user.ok("ssh-config", "--auth-type", "aad", "--username", "root", "--suffix", "lab", "--file", config)
    assert ssh(user, config, "db1.lab", "id -un").stdout == "root\n"
    (path,) = agents(user)
    pid = serving(path)
    kept = (user.dir / "config/caponier/contexts.json").read_bytes()
    user.ok("logout")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(path))
        s.sendall(LIST)
        assert s.recv(1) == b""
    eventually(lambda: not agents(user) and not command(pid), what="its end")
    assert b"boss" in kept


@pytest.mark.parametrize("args", [["--auth-type", "password"], ["--auth-type", "aad", "--username", "a b"], ["--username", "-oProxyCommand=x"],
                                  ["--auth-type", "aad", "--username", "x\n    ProxyCommand evil"], ["--username", ""], ["--username", "$(id)"]])
def test_what_cannot_stand_there(guest, tmp_path, args):  # noqa: F811
    r = guest.run("ssh-config", "--file", tmp_path / "c", *args)
    assert r.code == 2 and not (tmp_path / "c").exists(), r


@pytest.mark.parametrize("path", ["relative", "/tmp/-x", "/tmp/a b", "/tmp/..", "/tmp/", "/" + "x/" * 60 + "y"])
def test_sockets_that_are_none(guest, path):  # noqa: F811
    r = guest.run("connect", "--identity-agent", path, "web1")
    assert r.code == 255 and ("socket" in r.err), r


def test_a_service_principal_is_told_why_not(lab, folder, tmp_path):  # noqa: F811
    bot = User(lab, folder / "configbot")  # a socket's path is 107 bytes at most
    made = lab.admin.json("sp", "add", "configbot")
    People(lab).assign(made["appId"], "Reader")
    bot.ok("login", "--service-principal", "--username", made["appId"], "--password-stdin", "--ca", lab.ca, input=made["secret"] + "\n")
    bot.ok("ssh-config", "--auth-type", "aad", "--suffix", "lab", "--file", tmp_path / "c")
    assert "\n    User " not in (tmp_path / "c").read_text()
    r = ssh(bot, tmp_path / "c", "web1.lab", "true")
    assert r.returncode == 255 and "service principal" in r.stderr, r
