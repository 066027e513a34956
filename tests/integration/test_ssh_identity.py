"""Identity sign-in: `caponier ssh --auth-type aad` to real machines that trust the gateway's CA, and what is left of it."""
import os
import pathlib
import socket
import subprocess
import tempfile

import pytest

from conftest import GROUP_ID, VM, inventory, started
from lab import net
from lab.gateway import User, eventually
from test_ssh_certificates import ADMINISTRATOR, USER, People, machine_sshd

pytestmark = pytest.mark.skipif(not net.ROOT, reason="sshd gives other accounts only to root")
LIST, SIGN = b"\0\0\0\1\x0b", 13


@pytest.fixture(scope="module")
def lab(network, folder):
    """web1 trusts the CA by account, db1 in the strict form; guest may sign in on both, eve may only connect."""
    own = pathlib.Path(tempfile.mkdtemp(prefix="i", dir=folder))  # other files have this lab too; a short path, for sockets
    own.chmod(0o755)
    g = started(network, own / "g", sessions_per_user=1000)
    people = People(g)
    for name in ("guest@example.test", "boss@example.test", "eve@example.test"):
        g.user(name)
        people.assign(name, "Reader")
    people.assign("guest@example.test", USER, VM + "web1")
    people.assign("guest@example.test", USER, VM + "db1")
    people.assign("boss@example.test", ADMINISTRATOR)
    for a in ("10.77.1.41", "10.77.2.42", "10.77.1.43"):
        network.add(a)
    machines = {"web1": machine_sshd(network, own / "web1", people, "10.77.1.41", "web1", False),
                "db1": machine_sshd(network, own / "db1", people, "10.77.2.42", "db1", True),
                "scripted": machine_sshd(network, own / "scripted", people, "10.77.1.43", "db1", True)}
    rows = inventory()["machines"]
    for m in rows:
        if m["name"] in machines:
            m["address"], m["host_keys"] = machines[m["name"]].addr, [machines[m["name"]].public_host_key()]
    g.apply(inventory(machines=rows))
    g.machines = machines
    yield g
    for s in machines.values():
        s.close()
    g.close()


@pytest.fixture
def guest(lab, folder):
    """guest's client with a runtime folder and a folder for temporary files that are its own."""
    u = lab.users["guest@example.test"]
    before = dict(u.env)
    u.env.update({name: tempfile.mkdtemp(prefix="run-", dir=folder) for name in ("XDG_RUNTIME_DIR", "TMPDIR")})
    yield u
    u.env.clear()
    u.env.update(before)


def files(*folders):
    """Some may go meanwhile, which pathlib's own walk does not take."""
    return [pathlib.Path(d, name) for f in folders for d, inner, outer in os.walk(f) for name in inner + outer]


def left_over(user):
    return files(*{user.env[k] for k in ("XDG_RUNTIME_DIR", "TMPDIR") if user.env[k][0] == "/"})


def nothing_left(user):
    eventually(lambda: not left_over(user), what="the agent's folder to go")
    for p in files(user.dir):
        if p.is_file():
            text = p.read_bytes()
            assert b"PRIVATE KEY" not in text and b"ssh-ed25519-cert" not in text and not p.name.startswith("id_"), p


class Shell:
    """A sign-in that stays, and the agent that belongs to it."""

    def __init__(self, user, *args):
        self.user = user
        self.process = subprocess.Popen(user.argv("ssh", "--auth-type", "aad", *args, "--", "echo in; cat"), env=user.env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout.readline() == b"in\n", self.process.stderr.read()
        self.socket = [p for p in left_over(user) if p.is_socket()][0]

    def ask(self, message):
        """The agent's answer; empty when it hangs up."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.socket))
            s.sendall(message)
            try:
                head = s.recv(4, socket.MSG_WAITALL)
                return s.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL) if head else b""
            except ConnectionError:
                return b""

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def string(b):
    return len(b).to_bytes(4, "big") + b


def framed(kind, body=b""):
    return string(bytes([kind]) + body)


def sign_request(cert, what):
    return framed(SIGN, string(cert) + string(what) + b"\0\0\0\0")


def sign_in(cert, **over):
    m = {"session": b"s" * 32, "type": b"\x32", "user": b"guest", "service": b"ssh-connection", "method": b"publickey", "signed": b"\1",
         "algorithm": b"ssh-ed25519-cert-v01@openssh.com", "key": cert, **over}
    return (string(m["session"]) + m["type"] + string(m["user"]) + string(m["service"]) + string(m["method"]) + m["signed"]
            + string(m["algorithm"]) + string(m["key"]))


def the_certificate(shell):
    answer = shell.ask(LIST)
    assert answer[:5] == b"\x0c\0\0\0\1"
    n = int.from_bytes(answer[5:9], "big")
    return answer[9:9 + n]


# ---- refusals ----

def test_without_the_role_the_sentence_names_it_once(lab):
    eve = lab.users["eve@example.test"]
    for args in (["ssh", "--auth-type", "aad", "web1", "--", "true"], ["scp", "--auth-type", "aad", "/etc/hostname", "web1:"]):
        r = eve.run(*args)
        assert r.code == 255 and r.err.count(USER) == 1 and r.err.lower().count((VM + "web1").lower()) == 1, r
        assert "root" not in r.out
    assert eve.run("vm", "list").code == 0  # the sign-in is as good as before


def test_a_role_on_one_machine_is_none_on_another(lab, guest):
    r = guest.run("ssh", "--auth-type", "aad", "scripted", "--", "true")
    assert r.code == 255 and USER in r.err, r
    r = guest.run("ssh", "--auth-type", "aad", "root@db1", "--", "true")
    assert r.code == 255 and "Permission denied" in r.err, r
    nothing_left(guest)


@pytest.mark.parametrize("args", [["ssh", "--auth-type", "aad", "--ssh-key", "k", "web1"], ["ssh", "--auth-type", "aads", "web1"],
                                  ["scp", "--auth-type", "password", "a", "web1:"], ["scp", "--auth-type", "aad", "-i", "k", "a", "web1:"],
                                  ["ssh", "--auth-type", "aad", "--target-ip-address", "10.77.1.99"]])
def test_ours_is_255(guest, args):
    r = guest.run(*args)
    assert r.code == 255 and r.err, r
    nothing_left(guest)


def test_a_service_principal_is_told_why_not(lab, tmp_path):
    bot = User(lab, tmp_path / "bot")
    made = lab.admin.json("sp", "add", "identitybot")
    People(lab).assign(made["appId"], "Reader")
    bot.ok("login", "--service-principal", "--username", made["appId"], "--password-stdin", "--ca", lab.ca, input=made["secret"] + "\n")
    r = bot.run("ssh", "--auth-type", "aad", "web1", "--", "true")
    assert r.code == 255 and "service principal" in r.err, r


def test_another_user_gets_nothing(guest):
    with Shell(guest, "web1") as shell:
        folder = shell.socket.parent
        assert folder.stat().st_mode & 0o7777 == 0o700 and shell.socket.stat().st_mode & 0o7777 == 0o600
        assert folder.parent == pathlib.Path(guest.env["XDG_RUNTIME_DIR"])
        code = "import os,socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ntry:\n s.connect(sys.argv[1])\n s.sendall(bytes([0,0,0,1,11]))\n" \
               " sys.exit(4 if s.recv(1) else 0)\nexcept OSError: sys.exit(3)"
        argv = ["setpriv", "--reuid=1078", "--regid=1078", "--clear-groups", "/usr/bin/python3", "-c", code, str(shell.socket)]
        assert subprocess.run(argv, timeout=30).returncode == 3  # the folder and the mode
        for p in (shell.socket, folder, folder.parent):
            p.chmod(0o777)
        assert subprocess.run(argv, timeout=30).returncode in (0, 3)  # who asks
        assert len(the_certificate(shell)) > 200


def test_it_signs_nothing_but_sign_ins(guest):
    with Shell(guest, "web1") as shell:
        cert = the_certificate(shell)
        raw = string(b"ssh-ed25519") + string(b"k" * 32)
        good = sign_in(cert)
        assert shell.ask(sign_request(cert, good))[:1] == b"\x0e"
        bound = sign_in(cert, method=b"publickey-hostbound-v00@openssh.com") + string(raw)
        assert shell.ask(sign_request(cert, bound))[:1] == b"\x0e"
        for what in (b"", b"SSHSIG" + good, good + b"\0", good[:-1], sign_in(raw), sign_in(cert, service=b"ssh-userauth"), sign_in(cert, signed=b"\0"),
                     sign_in(cert, session=b""), sign_in(cert, type=b"\x33"), sign_in(cert, method=b"hostbased")):
            assert shell.ask(sign_request(cert, what)) == b"\5", what
        assert shell.ask(sign_request(raw, sign_in(raw))) == b"\5"
        assert shell.ask(sign_request(cert[:-1] + bytes([cert[-1] ^ 1]), good)) == b"\5"
        for kind in (1, 9, 17, 18, 19, 20, 22, 25, 27, 255):  # add, remove, lock, extensions
            assert shell.ask(framed(kind, b"x" * 40)) == b"\5", kind
        for bad in (b"\0\0\0\0", b"\xff\xff\xff\xff", framed(SIGN), framed(11, b"x")):
            assert shell.ask(bad) == b"", bad
        assert the_certificate(shell) == cert


# ---- what works ----

@pytest.mark.parametrize("machine", ["web1", "db1"])
def test_a_name_is_enough(guest, lab, machine):
    r = guest.run("ssh", "--auth-type", "AAD", machine, "--", "id -un; exit 42")
    assert (r.code, r.out) == (42, "guest\n"), (r, (lab.machines[machine].dir / "sshd.log").read_text()[-2000:])
    r = guest.run("ssh", "--auth-type", "aad", "guest@" + machine, "--", "env | grep -c SSH_AUTH_SOCK")
    assert r.out == "0\n", r
    nothing_left(guest)


def test_an_administrator_is_root_in_the_strict_form(lab):
    r = lab.users["boss@example.test"].run("ssh", "--auth-type", "aad", "-u", "root", VM + "db1", "--", "id -un")
    assert (r.code, r.out) == (0, "root\n"), r


def test_by_address(guest):
    r = guest.run("ssh", "--auth-type", "aad", "--target-resource-id", "web1", "--", "id -un")
    assert r.out == "guest\n", r
    r = guest.run("ssh", "--auth-type", "aad", "10.77.1.41", "--", "id -un")
    assert r.out == "guest\n", r


def test_scp_both_ways(guest, tmp_path):
    (tmp_path / "a file").write_bytes(os.urandom(300000))
    assert guest.run("scp", "--auth-type", "aad", tmp_path / "a file", "web1:up").code == 0
    r = guest.run("scp", "--auth-type", "aad", "guest@web1:up", tmp_path / "back")
    assert r.code == 0 and (tmp_path / "back").read_bytes() == (tmp_path / "a file").read_bytes(), r
    nothing_left(guest)


def test_nothing_stays_however_it_ends(guest):
    guest.env["XDG_RUNTIME_DIR"] = "relative"  # one that is of no use is not used
    with Shell(guest, "web1") as shell:
        assert str(shell.socket).startswith(guest.env["TMPDIR"])
        assert shell.close() == 0
    nothing_left(guest)
    with Shell(guest, "web1") as shell:
        shell.process.kill()
        shell.process.wait()
        nothing_left(guest)


def test_a_certificate_is_renewed_while_its_agent_lives(lab, guest):
    lab.stop()
    lab.write_config(ssh_cert_ttl="1m")
    lab.start()
    with Shell(guest, "web1") as shell:
        first = the_certificate(shell)
        assert the_certificate(shell) == first
        later = eventually(lambda: (c := the_certificate(shell)) != first and c, seconds=40, what="another certificate")
        assert shell.ask(sign_request(later, sign_in(later)))[:1] == b"\x0e"
        assert shell.ask(sign_request(first, sign_in(first)))[:1] == b"\x0e"  # listed before, signed after
    nothing_left(guest)
    assert guest.run("vm", "list").code == 0
