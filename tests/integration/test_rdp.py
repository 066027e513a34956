"""RDP: FreeRDP signs in to a real xrdp through the tunnel, and the picture shows the remote desktop."""
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest
import requests

from conftest import VM
from lab import net
from lab.fakedesktop import FakeDesktop, certificate
from lab.gateway import PATIENCE, eventually
from lab.sshd import PASSWORD


@pytest.fixture(scope="module")
def display():
    """A display that the server chose itself, so that runs side by side never share one, and that it does not reset when a client leaves."""
    ours, theirs = os.pipe()
    p = subprocess.Popen(["Xvfb", "-displayfd", str(theirs), "-noreset", "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
                         stderr=subprocess.DEVNULL, pass_fds=[theirs])
    os.close(theirs)
    with open(ours) as said:
        number = said.readline().strip()  # written when it listens
    assert number, "Xvfb ended"
    yield f":{number}"
    p.terminate()
    p.wait()


@pytest.fixture(scope="module")
def xrdp(network, folder, sshd):
    """A real xrdp and sesman on 10.77.1.5:3389, in a mount namespace with the lab's own accounts."""
    d = folder / "xrdp"
    d.mkdir()
    etc = d / "etc"
    shutil.copytree("/etc/xrdp", etc, symlinks=False, ignore_dangling_symlinks=True, ignore=lambda *_: ["key.pem", "cert.pem"])
    ini = (etc / "xrdp.ini").read_text()
    ini = ini.replace("port=3389", "port=tcp://10.77.1.5:3389", 1).replace("security_layer=negotiate", "security_layer=tls", 1)
    ini = ini.replace("certificate=\n", f"certificate={etc}/cert.pem\n", 1).replace("key_file=\n", f"key_file={etc}/key.pem\n", 1)
    (etc / "xrdp.ini").write_text(ini)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", etc / "key.pem", "-out", etc / "cert.pem",
                    "-days", "2", "-subj", "/CN=xrdp"], check=True, capture_output=True)
    start = etc / "startwm.sh"
    start.write_text("#!/bin/sh\nexec xterm -geometry 120x40+10+10 -fa Monospace -fs 12 -e sh -c 'echo REMOTE DESKTOP OF SCRIPTED; sleep 1000'\n")
    start.chmod(0o755)
    pam = d / "pam"
    pam.write_text("auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n")
    binds = [*(f"mount --bind {sshd.dir}/{f} /etc/{f}" for f in ("passwd", "shadow", "group")),
             f"mount --bind {etc} /etc/xrdp", f"mount --bind {pam} /etc/pam.d/xrdp-sesman",
             "mount -t tmpfs tmpfs /run", "mkdir -p /run/xrdp/sockdir", "chmod 3777 /run/xrdp/sockdir",
             "mount -t tmpfs -o mode=1777 tmpfs /tmp", "mkdir -m 1777 /tmp/.X11-unix", "mount -t tmpfs tmpfs /var/log"]
    log = open(d / "log", "wb")
    p = subprocess.Popen(network.machines.argv(
        "unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c",
        " && ".join(binds) + " && (/usr/sbin/xrdp-sesman --nodaemon & exec /usr/sbin/xrdp --nodaemon)"),
        stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def up():
        assert p.poll() is None, (d / "log").read_text()
        try:
            network.machines.connect("10.77.1.5", 3389, 1).close()
            return True
        except OSError:
            return False
    eventually(up, 15, "xrdp listens")
    yield p
    p.kill()
    p.wait()
    log.close()


def freerdp(display, port, *args, **kw):
    return subprocess.Popen(["xfreerdp", f"/v:127.0.0.1:{port}", "/u:guest", f"/p:{PASSWORD}", "/cert:ignore", "/log-level:WARN", *args],
                            env={**os.environ, "DISPLAY": display, "HOME": "/tmp"}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)


def test_auth_only(ada, xrdp, display):
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        p = freerdp(display, t.port, "+auth-only", "/sec:tls")
        out, _ = p.communicate(timeout=60)
        assert p.returncode == 0, out


def test_the_gateways_rdp_file_opens_through_a_tunnel(gateway, ada, xrdp, display, folder):
    """What az saves of /api/rdpfile, line by line, is a file that FreeRDP reads and that leads to the tunnel."""
    r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
        "grant_type": "password", "username": "ada@example.test", "password": ada.password, "client_id": "x", "scope": "openid"})
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        r = requests.get(f"{gateway.url}/api/rdpfile?resourceId={VM}scripted&format=rdp&rdpport=3389&enablerdsaad=False&localport={t.port}",
                         headers={"Authorization": f"Bearer {r.json()['access_token']}"}, verify=str(gateway.ca), timeout=20)
        assert r.status_code == 200, r.text
        f = folder / "conn.rdp"
        with open(f, "w") as out:
            for line in r.text.splitlines():
                out.write(line + "\n")
        p = subprocess.Popen(["xfreerdp", str(f), "/u:guest", f"/p:{PASSWORD}", "/cert:ignore", "/log-level:WARN", "+auth-only", "/sec:tls"],
                             env={**os.environ, "DISPLAY": display, "HOME": "/tmp"}, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = p.communicate(timeout=60)
        assert p.returncode == 0, out


@pytest.mark.release_only  # xrdp and FreeRDP draw; test_rdp_command_shows_the_desktop goes the same way
def test_desktop_in_a_picture(ada, xrdp, display, folder):
    shot = pathlib.Path(os.environ.get("CPN_SHOTS", folder)) / "desktop.png"
    with ada.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        p = freerdp(display, t.port, "/sec:tls", "/size:1024x700", "/bpp:24")
        try:
            def drawn():
                assert p.poll() is None, p.stdout.read()
                subprocess.run(["import", "-display", display, "-window", "root", str(shot)], check=True, capture_output=True)
                colours = subprocess.run(["identify", "-format", "%k", str(shot)], capture_output=True, text=True).stdout
                return int(colours or 0) > 30  # text on a terminal: anti-aliased glyphs
            eventually(drawn, 60, "the remote desktop is drawn")
        finally:
            p.terminate()
            p.wait(timeout=20)
    assert shot.stat().st_size > 2000


def test_refusal_ends_freerdp_within_five_seconds(gateway, display):
    eve = gateway.user("eve@example.test")
    gid = gateway.admin.json("role", "assign", "--assignee", "eve@example.test", "--role", "Reader", "--scope", VM + "scripted")["id"]
    bob = gateway.user("rdp@example.test")
    from conftest import GROUP_ID
    a = gateway.admin.json("role", "assign", "--assignee", "rdp@example.test", "--role", "Reader", "--scope", GROUP_ID)["id"]
    with bob.tunnel("--name", "door", "scripted", "--resource-port", 3389) as t:
        gateway.admin.ok("role", "remove", "--ids", a)
        started = time.monotonic()
        p = freerdp(display, t.port, "+auth-only")
        p.communicate(timeout=30)
        assert p.returncode != 0
        assert time.monotonic() - started < 5 * PATIENCE
        eventually(lambda: "decision: " in t.stderr(), what="the tunnel prints the reason")
        assert "Reader" in t.stderr() and t.stderr().count("refused:") == 1 and t.stderr().count("decision: ") == 1, t.stderr()
    gateway.admin.ok("role", "remove", "--ids", gid)


# ---- caponier rdp ----


def rdp(user, display, *args, password=None, env=None, **kw):
    """FreeRDP's /cert:ignore: xrdp's certificate here is of this test."""
    p = subprocess.Popen(user.argv("rdp", "--name", "door", *args), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         stdin=subprocess.PIPE, env={**user.env, "DISPLAY": display, **(env or {})}, **kw)
    if password is not None:
        p.stdin.write(password + "\n")
        p.stdin.flush()
    return p


def commands(text):
    """Command lines of every process that hold the text."""
    out = []
    for f in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = f.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            out.append(line)
    return out


def test_rdp_command_shows_the_desktop_and_ends_with_freerdp(ada, xrdp, display, folder):
    shot = pathlib.Path(os.environ.get("CPN_SHOTS", folder)) / "rdp-command.png"
    p = rdp(ada, display, "scripted", "--username", "guest", "--size", "1000x700", "--password-stdin", "--",
            "/cert:ignore", "/sec:tls", "/bpp:24", password=PASSWORD)
    try:
        def drawn():
            assert p.poll() is None, p.stdout.read()
            subprocess.run(["import", "-display", display, "-window", "root", str(shot)], check=True, capture_output=True)
            colours = subprocess.run(["identify", "-format", "%k", str(shot)], capture_output=True, text=True).stdout
            return int(colours or 0) > 30
        eventually(drawn, 60, "the remote desktop is drawn")
        assert not commands(PASSWORD)
        (client,) = [c for c in commands("/v:127.0.0.1:") if "freerdp" in c.split()[0]]
        assert "/u:guest" in client and "multimon" not in client
        port = int(client.split("/v:127.0.0.1:")[1].split()[0])
    finally:
        p.terminate()
        p.communicate(timeout=20)
    assert p.returncode == 0
    assert not [c for c in commands(f"/v:127.0.0.1:{port}")]
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port)) != 0  # and with it the tunnel


def test_rdp_command_ends_when_freerdp_does(ada, xrdp, display):
    p = rdp(ada, display, "scripted", "--username", "guest", "--password-stdin", "--", "/cert:ignore", "/sec:tls", "+auth-only",
            password=PASSWORD)
    out, _ = p.communicate(timeout=60)
    assert p.returncode == 0, out


def test_a_certificate_that_has_changed_is_no_new_one(ada, network, display, tmp_path):
    """FreeRDP asks about the first, knows it the next time though the tunnel is another one, and warns of the second."""
    def attempt(answer):
        p = rdp(ada, display, "web1", "--resource-port", "3390", "--username", "guest", "--", "/sec:tls")
        out, _ = p.communicate(answer, timeout=60)
        assert "json" not in out, out  # no settings are saved, which is nothing to tell
        assert p.returncode == 1, out  # whom it trusts is no desktop
        assert ("its certificate was not trusted" in out) == ("certificate not trusted" in out), out
        return desktop.went_on(), out

    with network.machines.listen("10.77.1.4", 3390) as listener:
        listener.settimeout(None)
        desktop = FakeDesktop(listener, certificate(tmp_path, "first"))
        trusted, out = attempt("N\n")
        assert not trusted and "web1" in out and "trust" in out, out
        trusted, out = attempt("Y\n")
        assert trusted, out
        trusted, out = attempt("")  # nobody is asked
        assert trusted and "changed" not in out, out
        desktop.show(certificate(tmp_path, "second"))
        trusted, out = attempt("N\n")
        assert not trusted and "IDENTIFICATION HAS CHANGED" in out, out
        assert not attempt("")[0]


def test_the_port_is_the_machines_own_or_the_saved_one(ada, tmp_path):
    (tmp_path / "xfreerdp").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "xfreerdp").chmod(0o755)
    env = {**ada.env, "PATH": f"{tmp_path}:/usr/bin:/bin"}

    def words(*args):
        r = subprocess.run(ada.argv("rdp", "--name", "door", *args), env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
        assert r.returncode == 0, r
        return r.stdout.splitlines(), r.stderr

    def port(*args):
        return int(words(*args)[0][0].rsplit(":", 1)[1])
    own = port("db1")
    assert own == port("db1") and own != port("scripted") and 20000 <= own < 32000
    assert "/cert:name:db1" in words("db1")[0]
    assert port("db1", "--port", "0") not in (own, 0)
    with socket.create_server(("127.0.0.1", own)):
        said, err = words("db1")
        assert not said[0].endswith(f":{own}") and f"port {own}" in err and "certificate" in err, err
    free = net.free_port()
    ada.ok("rdp", "--name", "door", "db1", "--port", str(free), "--configure")
    assert port("db1") == free and port("db1", "--port", "0") != free
    assert f"127.0.0.1:{free}" in ada.ok("rdp", "--name", "door", "db1", "--file", "-").out
    for kept in (ada.dir / "config/caponier").glob("rdp-*.json"):
        kept.unlink()


@pytest.mark.parametrize("args, says", [
    (["scripted", "--username", "a\nfull address:s:evil"], "user's name"),
    (["scripted", "--size", "big"], "no size"),
    (["scripted", "--size", "800x600;x"], "no size"),
    (["scripted", "--size", "800x600", "--full-screen"], "either"),
    (["scripted", "--", "/p:hunter2"], "show a secret"),
    (["scripted", "--", "/P:hunter2"], "show a secret"),
    (["scripted", "--", "/gateway:g:h,u:x,p:hunter2"], "show a secret"),
    (["scripted", "--", "/assistance:hunter2"], "show a secret"),
    (["scripted", "--", "--password", "x"], "show a secret"),
    (["scripted", "--", "/v:evil"], "said by the tunnel"),
    (["scripted", "--", "evil.rdp"], "no option"),
    (["scripted", "--", "/app:x\ny"], "no option"),
])
def test_rdp_refuses_before_anything_connects(ada, tmp_path, args, says):
    fake = tmp_path / "xfreerdp"
    fake.write_text("#!/bin/sh\ntouch " + str(tmp_path / "ran") + "\n")
    fake.chmod(0o755)
    r = subprocess.run(ada.argv("rdp", *args), env={**ada.env, "PATH": str(tmp_path), "CAPONIER_GATEWAY": "https://127.0.0.1:9"},
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
    assert r.returncode == 2 and says in r.stderr and "hunter2" not in r.stderr, r
    assert not (tmp_path / "ran").exists()


def test_rdp_without_freerdp_names_the_package(ada, tmp_path):
    """A program of that name in the current folder is nobody's choice."""
    evil = tmp_path / "xfreerdp"
    evil.write_text("#!/bin/sh\ntouch ran\n")
    evil.chmod(0o755)
    for path in ("/nonexistent", "/nonexistent:.", ":/nonexistent", "::"):
        r = subprocess.run(ada.argv("rdp", "scripted"), env={**ada.env, "PATH": path}, cwd=tmp_path, capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=20)
        assert r.returncode == 2 and "freerdp2-x11" in r.stderr, r
    assert not (tmp_path / "ran").exists()


def test_rdp_settings_are_kept_for_the_machine(ada, tmp_path):
    ada.ok("rdp", "--name", "door", "scripted", "--username", "guest", "--size", "1024x768", "--configure", "--", "/sound")
    (kept,) = (ada.dir / "config/caponier").glob("rdp-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    fake = tmp_path / "xfreerdp"
    fake.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    fake.chmod(0o755)
    env = {**ada.env, "PATH": f"{tmp_path}:/usr/bin:/bin"}

    def words(*args):
        r = subprocess.run(ada.argv("rdp", "--name", "door", *args), env=env, capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=20)
        return r.returncode, r.stdout.split("\n")[:-1], r.stderr
    code, said, _ = words("scripted")
    assert code == 0 and {"/u:guest", "/size:1024x768", "/sound", "/t:scripted"} <= set(said) and "/multimon" not in said
    code, said, _ = words("scripted", "--username", "x y;$(id)", "-f", "--multi-monitor")
    assert "/u:x y;$(id)" in said and "/f" in said and "/multimon" in said and not [w for w in said if w.startswith("/size")]
    assert words("web1")[1][0].startswith("/v:127.0.0.1:") and "/u:guest" not in words("web1")[1]
    # Others' hands on the file: it is not used.
    kept.chmod(0o644)
    assert words("scripted")[0] == 2
    kept.unlink()


@pytest.mark.parametrize("end, code, says", [
    ("exit 0", 0, ""), ("exit 12", 0, ""),  # closed, signed out
    ("exit 132", 1, "password"), ("exit 134", 1, "password"), ("exit 131", 1, "status 131"),
    ("exit 1", 1, "before it connected"),  # no display
    ("exit 143", 1, "certificate"),  # FreeRDP's own, not 128 and SIGTERM
    ("kill -TERM $$", 0, ""), ("kill -INT $$", 0, ""), ("kill -SEGV $$", 1, "signal 11"),
])
def test_how_freerdp_ended_is_told(ada, tmp_path, end, code, says):
    fake = tmp_path / "xfreerdp"
    fake.write_text(f"#!/bin/sh\n{end}\n")
    fake.chmod(0o755)
    r = subprocess.run(ada.argv("rdp", "--name", "door", "scripted"), env={**ada.env, "PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True,
                       text=True, stdin=subprocess.DEVNULL, timeout=20)
    assert r.returncode == code and says in r.stderr and r.stderr.count("\n") == code, r


def test_rdp_that_may_not_connect_starts_nothing(ada, tmp_path):
    fake = tmp_path / "xfreerdp"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    fake.chmod(0o755)
    r = subprocess.run(ada.argv("rdp", "lonely"), env={**ada.env, "PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, timeout=20)
    assert r.returncode == 3 and "lonely, port 3389: refused: " in r.stderr and "decision: " in r.stderr, r
    assert not (tmp_path / "ran").exists()


def test_rdp_file_is_written_and_nothing_is_started(ada, tmp_path):
    r = ada.ok("rdp", "--name", "door", "scripted", "--username", "guest", "--size", "1024x768", "--port", "50389", "--file",
               tmp_path / "m.rdp")
    text = (tmp_path / "m.rdp").read_bytes().decode()
    assert (tmp_path / "m.rdp").stat().st_mode & 0o777 == 0o600
    assert "full address:s:127.0.0.1:50389\r\n" in text and "username:s:guest\r\n" in text and "use multimon:i:0\r\n" in text
    assert "caponier tunnel scripted --resource-port 3389 --port 50389" in r.err
    assert "full address:s:127.0.0.1:53389" in ada.ok("rdp", "--name", "door", "scripted", "--file", "-").out
