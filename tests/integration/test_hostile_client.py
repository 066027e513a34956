"""What surrounds a client on its own machine, and a gateway that is an enemy.

| hazard | held by |
|---|---|
| 56 another uid at my port, also connect-and-close; root's tunnel | test_local_end, unit test_peer |
| 57 port taken (also on 0.0.0.0), SIGSTOP, 200 at once | here, unit test_peer |
| 58 token file: link, FIFO, owner, mode, cut short, 1 GiB, stuck lock, full disk | test_client_signin, unit test_client; other processes at it: test_client_kept |
| 59 redirect, names, escapes, options of ssh, endless answers, RDP fields | here, test_completion; wrong host key: test_ssh_command |
| 60 a false sshd | test_ssh_command (100 of 100), test_ssh_config; a false RDP certificate: test_rdp; no option of ours answers for it |
| 61 HOME, PATH, locale, descriptors closed, SIGCHLD ignored, stdout full or gone | here, test_connect, test_ssh_command, test_rdp, unit test_callback |
| 62 browser callback: wrong state, a second one, another program first | test_client_signin, unit test_callback |
| 63 SIGKILL at any moment | here; the agent of identity sign-in: test_ssh_identity, test_ssh_config_identity |
| names that are options, newlines | here, test_ssh_config, test_rdp |
"""
import json
import resource
import signal
import socket
import subprocess
import time

import pytest

from conftest import inventory
from lab.fakegate import FakeGate, signed_in
from lab.gateway import BUILD, PATIENCE, SANITIZED, eventually

CLI = str(BUILD / "caponier")
VM = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/"
DOOR = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/Microsoft.Network/bastionHosts/door"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV"
NASTY = ["\x1b]0;owned\x07\x1b[2J", "a\nProxyCommand touch ran", "$(touch ran)", "`touch ran`", "-oProxyCommand=touch ran", "‮gpj", "x\r\n\x9b31m", "'; touch ran; '"]


@pytest.fixture
def fake(tmp_path):
    g = FakeGate(tmp_path / "fake")
    g.env = {**signed_in(tmp_path, g), "TERM": "xterm"}
    yield g
    g.close()


def run(fake, tmp_path, *args, limit=None, **kw):
    kw.setdefault("timeout", 60 * PATIENCE)
    if limit and not SANITIZED:
        kw["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return subprocess.run([CLI, *map(str, args)], env=kw.pop("env", fake.env), cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, **kw)


def clean(r):
    """No byte that moves a cursor, hides text or turns it round."""
    text = (r.stdout + r.stderr).decode()
    assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7f <= ord(c) < 0xa0 or c in "‮‏؜⁦​"], r


def documents(*names):
    return {"value": [{"kind": "virtualMachine", "id": VM + n, "body": {"location": n, "sshHostKeys": [n]}} for n in names]}


# ---- 59: a gateway that is an enemy ----

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere(fake, tmp_path, status):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(1)
        fake.answers = {"/": f"HTTP/1.1 {status} x\r\nLocation: https://127.0.0.1:{elsewhere.getsockname()[1]}/\r\nContent-Length: 0\r\n\r\n".encode()}
        for args in (["vm", "list"], ["connect", "web1"], ["ssh", "web1"], ["login", "--username", "a", "--password-stdin"]):
            r = run(fake, tmp_path, *args)
            assert r.returncode not in (0, -signal.SIGSEGV) and r.stderr, (args, r)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


@pytest.mark.parametrize("format", ["table", "tsv", "json"])
def test_names_move_no_cursor_and_run_nothing(fake, tmp_path, format):
    fake.answers = {"/v1/documents": documents(*NASTY), "/v1/sessions": {"value": [{"sessionId": n, "userName": n, "targetHostName": n, "state": n} for n in NASTY]}}
    for args in (["vm", "list"], ["session", "list"], ["bastion", "list"]):
        r = run(fake, tmp_path, *args, "-o", format)
        clean(r)
    assert not (tmp_path / "ran").exists()


def lines(r):
    return r.stderr.count(b"\n"), r.stdout.count(b"\n")


@pytest.mark.parametrize("args", [["vm", "list"], ["can-i", "web1"], ["ssh", "web1"], ["connect", "web1"], ["tunnel", "web1"], ["rdp", "web1"]], ids=" ".join)
def test_sentences_of_a_refusal_are_text(fake, tmp_path, args):
    """None moves a cursor, and none is one line more than an honest one."""
    def refused(text):
        fake.answers = {"/": (403, {"error": {"code": text, "message": text}, "decisionId": text, "missing": [{"reason": text, "role": text, "scope": text}],
                                    "problems": [text]})}
        r = run(fake, tmp_path, *args)
        assert r.returncode in (3, 255), (args, r)
        return r

    honest = lines(refused("no"))
    for text in NASTY:
        r = refused(text)
        clean(r)
        assert lines(r) == honest, r


def test_a_device_code_is_one_line(fake, tmp_path):
    for text in NASTY:
        fake.answers = {"/adfs/oauth2/devicecode": {"device_code": text, "user_code": text, "verification_uri": "https://x/" + text, "message": text,
                                                    "interval": 1, "expires_in": 1},
                        "/adfs/oauth2/token": (400, {"error": "expired_token", "error_description": text})}
        r = run(fake, tmp_path, "login", "--use-device-code")
        clean(r)
        assert r.returncode == 5 and lines(r) == (2, 0) and r.stderr.startswith(b"To sign in, open https://x/"), r


def resolved(**over):
    return {"bastion": DOOR, "targetResourceId": VM + "web1", "name": "web1", "sshHostKeys": [KEY], **over}


def test_what_is_offered_for_pasting_does_only_that(fake, tmp_path):
    for role in [*NASTY, "Virtual Machine User Login"]:
        fake.answers = {"/v1/resolve": resolved(), "/v1/can-i": {"allowed": False, "missing": [{"reason": "role_missing", "role": role, "scope": "/"}]}}
        r = run(fake, tmp_path, "can-i", "web1", "--why", "-o", "json")
        row = json.loads(r.stdout)["value"][0]
        assert row["role"] == role and row["mend"].startswith("ask " if role[0] == "-" else "caponier role assign --assignee ada@example.test --role "), r
        pasted = subprocess.run(["sh", "-c", 'caponier() { printf "%s\\n" "$6"; }\n' + row["mend"]], cwd=tmp_path, capture_output=True)
        assert role[0] == "-" or pasted.stdout.decode() == role + "\n", row
    for label, told in [("web1", b"web1"), ("a(touch ran)", None), ("a(b)", b"'a(b)'")]:
        fake.answers = {"/v1/resolve": resolved(targetResourceId=VM + label)}
        r = run(fake, tmp_path, "rdp", "web1", "--file", "web1.rdp")
        assert (b"first: caponier tunnel %s --" % told in r.stderr) if told else (r.returncode and b"first" not in r.stderr), r
        (tmp_path / "web1.rdp").unlink(missing_ok=True)
    for n in NASTY:
        fake.answers = {"/v1/resolve": resolved(targetResourceId=n)}
        r = run(fake, tmp_path, "rdp", "web1", "--file", "web1.rdp")
        assert r.returncode == 1 and b"machine id" in r.stderr and b"first" not in r.stderr, r
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("over", [{k: n} for n in NASTY for k in ("targetResourceId", "name", "bastion")]
                         + [{"targetResourceId": VM + n} for n in NASTY] + [{"sshHostKeys": [n]} for n in NASTY] + [{"sshHostKeys": [f"{KEY}\n* {KEY}"]}, {"sshHostKeys": [KEY] * 5000},
                         {"sshHostKeys": "x"}, {"sshHostKeys": [None, 5]}, {"bastion": None}, {"targetResourceId": ["x"]}, {"bastion": "/" + "a" * 100000}])
def test_nothing_of_an_answer_becomes_an_option_of_ssh(fake, tmp_path, over):
    """ssh is replaced by a program that says how it was called: no word of the answer stands where an option could."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(f'#!/bin/sh\nfor a; do printf "%s\\0" "$a"; done > {tmp_path}/argv\n')
    (folder / "ssh").chmod(0o755)
    fake.answers = {"/v1/resolve": resolved(**over)}
    r = run(fake, tmp_path, "ssh", "web1", env={**fake.env, "PATH": f"{folder}:/usr/bin:/bin"})
    clean(r)
    assert not (tmp_path / "ran").exists()
    if (tmp_path / "argv").exists():
        argv = (tmp_path / "argv").read_bytes().decode().split("\0")[:-1]
        assert not [a for a in argv if "\n" in a or a.startswith("-oProxyCommand=touch")], argv
        (proxy,) = [a for a in argv if a.startswith("-oProxyCommand=")]
        bare = proxy.split("'")[::2]  # what a shell would read outside of quotes
        assert not [part for part in bare if set(part) & set("$`;&|<>\"\\*?(){}~\n")], proxy
        assert argv[-1].replace("-", "").replace("_", "").replace(".", "").isalnum() and argv[-1][0] != "-", argv
    kept = tmp_path / "config/caponier/known_hosts.d"
    for f in kept.iterdir() if kept.exists() else ():
        for line in f.read_text().splitlines():
            assert line.split()[1] == "ssh-ed25519" and "," in line.split()[0] and not line.startswith("*"), line


def test_a_parent_that_ignores_its_children(fake, tmp_path):
    """SIGCHLD is inherited as it was ignored; programs of ours are waited for all the same."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text("#!/bin/sh\n")
    (folder / "ssh").chmod(0o755)
    fake.answers = {"/v1/resolve": resolved(), "/v1/documents": documents("web1")}
    r = run(fake, tmp_path, "vm", "hostkey", "approve", "web1", "--fingerprint", "SHA256:" + "A" * 43, env={**fake.env, "PATH": f"{folder}:/usr/bin:/bin"},
            preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert r.returncode == 1 and b"shows no host key" in r.stderr, r


def endless(s):
    s.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        s.sendall(b"X-Filler: " + b"a" * 1000 + b"\r\n")


def gibibyte(s):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        s.sendall(b"[" * 65536)


ANSWERS = {
    "endless headers": endless, "a body without end": gibibyte,
    "a length of 1 GiB": b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    "deep": b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200000, "NUL": b"HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n",
    "nothing": b"", "SSH": b"SSH-2.0-OpenSSH_9.2\r\n", "twice": b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n" + b'{"value":[],"value":[1,2,3]}'[:27],
    "escapes": b"HTTP/1.1 500 \x1b[2J\r\nContent-Length: 5\r\n\r\n\x1b[2Jx",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_none(fake, tmp_path, name):
    fake.answers = {"/": ANSWERS[name]}
    for args in (["vm", "list"], ["connect", "web1"]):
        r = run(fake, tmp_path, *args, limit=1 << 30)
        assert r.returncode in (1, 255) and 0 < len(r.stderr) < 5000, (args, r)
        assert r.stderr.count(b"\n") <= 2
        clean(r)


def test_a_list_without_end_and_one_of_another_place(fake, tmp_path):
    fake.answers = {"/v1/documents": {"value": [], "nextLink": "/v1/documents?kind=virtualMachine&again"}}
    r = run(fake, tmp_path, "vm", "list", "-o", "json")
    assert r.returncode != 0 and b"pages" in r.stderr and len(fake.asked) <= 201
    for link in ("https://evil.example/", "//evil.example/x", "/\r\nHost: evil", "x" * 5000, "/" + "x" * 5000):
        fake.answers = {"/v1/documents": {"value": [], "nextLink": link}}
        r = run(fake, tmp_path, "vm", "list")
        assert r.returncode not in (-11, -6) and len(fake.asked) < 420, (link, r)
        clean(r)


def test_fields_of_an_rdp_file_are_lines_of_ours(fake, tmp_path):
    fake.answers = {"/v1/resolve": resolved(targetResourceId=VM + "web1\nremoteapplicationprogram:s:evil", name="x\nfull address:s:evil"),
                    "/api/rdpfile": b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\nfull address:s:evil\r\nx:y:"}
    r = run(fake, tmp_path, "rdp", "web1", "--file", tmp_path / "out.rdp")
    clean(r)
    if (tmp_path / "out.rdp").exists():
        text = (tmp_path / "out.rdp").read_text()
        assert "evil" not in text and "remoteapplication" not in text


# ---- 61: where and how it is started ----

@pytest.mark.parametrize("fds", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_without_standard_descriptors(fake, tmp_path, fds):
    """A socket must not get their numbers: nothing of ours is written into the connection."""
    fake.answers = {"/v1/documents": documents("web1"), "/": (403, {"error": {"message": "no"}})}
    shut = " ".join(f"{n}>&-" for n in fds)
    for args in ("vm list", "connect web1", "ssh web1", "tunnel web1"):
        before = len(fake.asked)
        r = subprocess.run(["/bin/bash", "-c", f"{CLI} {args} {shut}"], env=fake.env, cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, timeout=60 * PATIENCE)
        assert r.returncode in (0, 1, 3, 255), (args, r)
        assert all(line.startswith(("GET /", "POST /")) for line in fake.asked[before:]) and len(fake.asked) > before, fake.asked


@pytest.mark.parametrize("change", [{"HOME": None}, {"HOME": ""}, {"HOME": "relative"}, {"LC_ALL": "nonsense"}, {"LC_ALL": "tr_TR.UTF-8"}, {"LANG": "\x1b[2J"}, {"TERM": None}, {"TMPDIR": "/nonexistent"},
                                    {"PATH": None}, {"PATH": ""}, {"COLUMNS": "-1"}, {"COLUMNS": "99999999999"}, {"TZ": "../../etc/passwd"}])
def test_any_surroundings(fake, tmp_path, change):
    fake.answers = {"/v1/documents": documents("web1")}
    env = {k: v for k, v in {**fake.env, **change}.items() if v is not None}
    r = run(fake, tmp_path, "vm", "list", env=env)
    assert r.returncode == 0 and b"web1" in r.stdout, r


def test_programs_beside_us_are_not_run(fake, tmp_path):
    fake.answers = {"/v1/resolve": resolved()}
    for name in ("ssh", "scp", "xfreerdp", "ssh-keygen", "xdg-open", "sh"):
        (tmp_path / name).write_text("#!/bin/sh\ntouch ran\n")
        (tmp_path / name).chmod(0o755)
    for path in (".", "", ":", "./", ".:/nonexistent", "relative"):
        for args in (["ssh", "web1"], ["scp", "x", "web1:"], ["rdp", "web1"]):
            r = run(fake, tmp_path, *args, env={**fake.env, "PATH": path}, timeout=60)
            assert not (tmp_path / "ran").exists(), (path, args, r)
            if path not in ("", ):
                assert r.returncode != 0


def test_a_full_or_closed_output_is_a_failure_and_no_crash(fake, tmp_path):
    fake.answers = {"/v1/documents": documents(*[f"web{i}" for i in range(5000)])}
    for format in ("table", "tsv", "json"):
        with open("/dev/full", "w") as full:
            r = subprocess.run([CLI, "vm", "list", "-o", format], env=fake.env, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60 * PATIENCE)
        assert r.returncode == 1 and r.stderr.count(b"\n") == 1 and b"stdout: " in r.stderr, r
        p = subprocess.Popen([CLI, "vm", "list", "-o", format], env=fake.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        p.stdout.close()
        assert p.wait(60 * PATIENCE) in (0, 1, -signal.SIGPIPE) and b"ault" not in p.stderr.read()
        p.stderr.close()


# ---- 57: ports, stopping, many at once ----

def test_a_port_that_somebody_has_is_named(ada, tmp_path):
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.create_server((host, 0)) as squatter:
            port = squatter.getsockname()[1]
            r = ada.run("tunnel", "web1", "--port", str(port))
            assert r.code == 1 and f"port {port}" in r.err and "in use" in r.err, r


def test_stopped_and_continued_it_goes_on(ada, network):
    with network.machines.listen("10.77.1.5", 22) as target, ada.tunnel("scripted") as t:
        target.settimeout(30)
        with socket.create_connection(("127.0.0.1", t.port), 60) as c:
            c.sendall(b"SSH-2.0-me\r\n")
            s, _ = target.accept()
            with s:
                s.settimeout(30)
                assert s.recv(100) == b"SSH-2.0-me\r\n"
                t.process.send_signal(signal.SIGSTOP)
                waiting = socket.create_connection(("127.0.0.1", t.port), 60)  # the kernel takes it
                c.sendall(b"while stopped")
                s.settimeout(1)
                with pytest.raises(TimeoutError):
                    s.recv(100)
                t.process.send_signal(signal.SIGCONT)
                s.settimeout(30)
                assert s.recv(100) == b"while stopped"
                with waiting:
                    waiting.sendall(b"SSH-2.0-me\r\n")
                    s2, _ = target.accept()
                    s2.close()


def test_two_hundred_at_once(ada, network):
    with network.machines.listen("10.77.1.5", 22) as target, ada.tunnel("scripted") as t:
        target.settimeout(60)
        clients = [socket.create_connection(("127.0.0.1", t.port), 60) for _ in range(200)]
        for i, c in enumerate(clients):
            c.sendall(b"SSH-2.0-%d\r\n" % i)
        ends = [target.accept()[0] for _ in clients]
        said = set()
        for s in ends:
            s.settimeout(60)
            line = s.recv(100)
            said.add(line)
            s.sendall(line)
        assert len(said) == 200
        for i, c in enumerate(clients):
            assert c.recv(100) == b"SSH-2.0-%d\r\n" % i
        for s in (*ends, *clients):
            s.close()


# ---- 63: killed at each step ----

def test_killed_at_any_moment_nothing_is_left_behind(gateway, admin, network):
    """SIGKILL at a dozen moments of `connect`: the stored sign-in stays whole, and no session stays open."""
    gateway.apply(inventory())
    kept = admin.dir / "config/caponier/contexts.json"
    before = json.loads(kept.read_text())
    with network.machines.listen("10.77.1.5", 22):
        for step in range(12):
            p = subprocess.Popen(admin.argv("connect", "scripted"), env=admin.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            p.stdin.write(b"SSH-2.0-me\r\n")
            p.stdin.flush()
            time.sleep(0.004 * step * PATIENCE)
            p.kill()
            p.wait()
            for stream in (p.stdout, p.stderr):
                stream.close()
            try:
                p.stdin.close()
            except BrokenPipeError:
                pass
            assert [c["user"] for c in json.loads(kept.read_text())["contexts"]] == [c["user"] for c in before["contexts"]]
    eventually(lambda: not [s for s in admin.json("session", "list")["value"] if s["targetHostName"] == "scripted"], what="no session stays")


def test_names_and_words_that_are_options(fake, tmp_path):
    """What a person types or a script passes on: nothing of it is an option of ssh, and a newline is no line."""
    fake.answers = {"/v1/resolve": (404, {"error": {"message": "there is no such machine"}})}
    for name in (*NASTY, "", "-", "--", "a" * 5000, "@", "a@", "@b", "-l root"):
        for command in ("ssh", "connect", "can-i", "tunnel", "rdp"):
            r = run(fake, tmp_path, command, "--", name)
            assert r.returncode in (1, 2, 4, 255), (command, name, r)
            clean(r)
    assert not (tmp_path / "ran").exists()
