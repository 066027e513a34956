"""Tunnels in the background: found, stopped, ended by themselves; what they tell programs."""
import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import stat
import subprocess
import time

import pytest

from lab import net
from lab.gateway import BUILD, PATIENCE, eventually
from lab.ssh import ssh

needs_root = pytest.mark.skipif(not net.ROOT, reason="a second user id needs root")
SECOND = 65534


@pytest.fixture
def me(ada):
    """Ada, who leaves no tunnel behind."""
    assert ada.json("tunnel", "list") == []
    yield ada
    ada.run("tunnel", "stop", "--all")


@contextlib.contextmanager
def session(port, target):
    with socket.create_connection(("127.0.0.1", port)) as c:
        c.settimeout(20)
        c.sendall(b"SSH-2.0-me\r\n")
        s, _ = target.accept()
        with s:
            s.settimeout(20)
            assert s.recv(100) == b"SSH-2.0-me\r\n"
            s.sendall(b"SSH-2.0-t\r\n")
            assert c.recv(100) == b"SSH-2.0-t\r\n"
            yield c, s


def detach(user, *args, **kw):
    r = user.run("tunnel", *args, "--detach", "-o", "json", **kw)
    assert r.code == 0, r
    return json.loads(r.out)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Events:
    """`caponier tunnel ARGS -o json` and the events it has written."""

    def __init__(self, user, *args):
        self.process = subprocess.Popen(user.argv("tunnel", *args, "-o", "json"), env=user.env, bufsize=0,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.got, self.over = b"", False
        self.ready = self.next()
        assert self.ready["event"] == "ready"

    def read(self, timeout):
        """Whether something came."""
        readable, _, _ = select.select([self.process.stdout], [], [], timeout)
        more = os.read(self.process.stdout.fileno(), 65536) if readable else b""
        self.got += more
        return bool(more)

    def next(self, timeout=20):
        while b"\n" not in self.got:
            assert self.read(timeout * PATIENCE), "no event"
        line, self.got = self.got.split(b"\n", 1)
        event = json.loads(line)
        self.over = event["event"] == "stopped"
        return event

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None and not self.over:
            self.process.terminate()
        out, err = self.process.communicate(timeout=20)
        self.rest, self.err = (self.got + out).decode(), err.decode()


# ---- refusals ----

@pytest.mark.parametrize("args,says", [
    (["--ready-fd", "0"], "--ready-fd"), (["--ready-fd", "1"], "--ready-fd"), (["--ready-fd", "2"], "--ready-fd"),
    (["--ready-fd", "77"], "not a descriptor"), (["--ready-fd", "-1"], "--ready-fd"), (["--ready-fd", "x"], "--ready-fd"),
    (["--exit-with", "0"], "--exit-with"), (["--exit-with", "-1"], "--exit-with"), (["--exit-with", "2147483647"], "no such process"),
    (["--exit-with", "2147483648"], "--exit-with"), (["--idle-timeout", "soon"], "--idle-timeout"), (["--idle-timeout", "-1"], "--idle-timeout"),
    (["--detach", "--exit-with", "2147483647"], "no such process"), (["--detach", "--port", "x"], "--port"), (["--detach=yes"], "--detach"),
])
def test_refused_before_anything_is_opened(ada, args, says):
    r = ada.run("tunnel", "web1", *args)
    assert r.code == 2 and says in r.err and not r.out, r


def test_a_ready_fd_that_is_only_read_is_refused(ada):
    with open("/dev/null", "rb") as f:
        r = subprocess.run(ada.argv("tunnel", "web1", "--ready-fd", str(f.fileno())), env=ada.env, pass_fds=[f.fileno()], capture_output=True, text=True)
    assert r.returncode == 2 and "open for writing" in r.stderr


@needs_root
def test_a_process_of_another_user_is_refused(ada):
    with subprocess.Popen(["sleep", "60"], user=SECOND) as p:
        try:
            r = ada.run("tunnel", "web1", "--exit-with", p.pid)
            assert r.code == 2 and f"uid {SECOND}" in r.err
        finally:
            p.kill()


def test_a_process_that_has_ended_is_refused(ada):
    p = subprocess.Popen(["true"])
    eventually(lambda: not alive(p.pid))  # not yet waited for
    assert ada.run("tunnel", "web1", "--exit-with", p.pid).code == 2
    p.wait()


@pytest.mark.parametrize("args", [[], ["--all", "3f9a2c"], ["--nonsense"]])
def test_stop_usage(ada, args):
    r = ada.run("tunnel", "stop", *args)
    assert r.code == 2 and r.err and not r.out


@pytest.mark.parametrize("name", ["000000", "3f9a2", "../../x", "", "tunnel-000000", "$(id)"])
def test_stop_of_an_unknown_id(me, name):
    r = me.run("tunnel", "stop", name)
    assert r.code == 4 and "tunnel list" in r.err and not r.out


def test_errors_come_to_the_caller_with_the_childs_status(gateway, me):
    taken = detach(me, "web1")["port"]
    r = me.run("tunnel", "web1", "--detach", "--port", taken)
    assert r.code == 1 and f"port {taken} of 127.0.0.1 is in use" in r.err and not r.out
    r = me.run("tunnel", "nowhere", "--detach")
    assert r.code == 4 and r.err.count("\n") == 1 and not r.out
    eve = gateway.user("eve@example.test")
    r = eve.run("tunnel", "--target-ip-address", "10.77.1.4", "--name", "door", "--detach")
    assert r.code in (3, 4) and not r.out
    nobody = {**me.env, "XDG_CONFIG_HOME": str(me.dir / "empty")}
    r = subprocess.run(me.argv("tunnel", "web1", "--detach", "--ca", gateway.ca), env=nobody, capture_output=True, text=True)
    assert r.returncode == 5 and "not signed in" in r.stderr and not r.stdout
    assert len(me.json("tunnel", "list")) == 1


# ---- folders ----

def runtime(user, path):
    return {**user.env, "XDG_RUNTIME_DIR": str(path)}


def run(user, env, *args):
    r = subprocess.run(user.argv(*args), env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    return r


def test_the_runtime_folder_holds_the_socket(me, tmp_path):
    tmp_path.chmod(0o700)
    env = runtime(me, tmp_path)
    t = json.loads(run(me, env, "tunnel", "web1", "--detach", "-o", "json").stdout)
    sock = tmp_path / "caponier" / f"tunnel-{t['id']}"
    assert stat.S_ISSOCK(sock.lstat().st_mode) and stat.S_IMODE(sock.lstat().st_mode) == 0o600
    assert stat.S_IMODE(sock.parent.lstat().st_mode) == 0o700
    assert me.json("tunnel", "list") == []  # without the variable it is elsewhere
    assert run(me, env, "tunnel", "stop", t["id"]).returncode == 0
    assert not sock.exists() and not alive(t["pid"])


def test_a_symbolic_link_as_runtime_folder_is_refused(me, tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "caponier").symlink_to(tmp_path / "real")
    env = runtime(me, tmp_path)
    r = run(me, env, "tunnel", "web1", "--detach")
    assert r.returncode == 2 and "symbolic link" in r.stderr and not r.stdout
    for args in (["list"], ["stop", "--all"]):
        r = run(me, env, "tunnel", *args)
        assert r.returncode == 2 and "symbolic link" in r.stderr
    assert not list((tmp_path / "real").iterdir())
    (tmp_path / "caponier").unlink()
    (tmp_path / "caponier").mkdir(mode=0o755)
    r = run(me, env, "tunnel", "web1", "--detach")
    assert r.returncode == 2 and "0700" in r.stderr


def runtime_dirs(tmp_path):
    tmp_path.chmod(0o700)
    yield "none", tmp_path / "none"
    (tmp_path / "open").mkdir(mode=0o755)
    yield "open to others", tmp_path / "open"
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    yield "a link", tmp_path / "link"
    yield "relative", "mine"
    yield "empty", ""
    if net.ROOT:
        (tmp_path / "theirs").mkdir(mode=0o700)
        os.chown(tmp_path / "theirs", SECOND, SECOND)
        yield "another's", tmp_path / "theirs"


def test_an_unfit_runtime_dir_means_the_state_folder(me, tmp_path):
    for why, path in runtime_dirs(tmp_path):
        env = runtime(me, path)
        t = json.loads(run(me, env, "tunnel", "web1", "--detach", "-o", "json").stdout)
        assert [x["id"] for x in me.json("tunnel", "list")] == [t["id"]], why
        assert (me.dir / ".local/state/caponier" / f"tunnel-{t['id']}").exists(), why
        assert run(me, env, "tunnel", "stop", t["id"]).returncode == 0, why
        if isinstance(path, pathlib.Path) and path.exists():
            assert not list(path.iterdir()), why


def test_state_folders_that_are_not_to_be_trusted(me, tmp_path):
    state = tmp_path / "state"
    (state / "caponier").mkdir(parents=True)
    (state / "caponier").chmod(0o700)
    env = {**me.env, "XDG_STATE_HOME": str(state)}
    (state / "caponier/tunnels.log").symlink_to(tmp_path / "victim")
    r = run(me, env, "tunnel", "web1", "--detach")
    assert r.returncode == 2 and "tunnels.log" in r.stderr and not (tmp_path / "victim").exists()
    (state / "caponier/tunnels.log").unlink()
    (state / "caponier/tunnels.log").touch(mode=0o644)
    (state / "caponier/tunnels.log").chmod(0o644)
    r = run(me, env, "tunnel", "web1", "--detach")
    assert r.returncode == 2 and "only you" in r.stderr
    (state / "caponier/tunnels.log").unlink()
    os.mkfifo(state / "caponier/tunnels.log", 0o600)
    assert run(me, env, "tunnel", "web1", "--detach").returncode in (1, 2)
    assert not [p for p in (state / "caponier").iterdir() if p.name.startswith("tunnel-")]


def test_what_is_no_tunnel_is_not_shown(me):
    me.ok("tunnel", "stop", detach(me, "web1")["id"])
    folder = me.dir / ".local/state/caponier"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "tunnel-00dead"))
    dead.close()
    (folder / "tunnel-00f11e").write_text('{"id": "00f11e"}\n')
    (folder / "tunnel-0011ec").symlink_to(folder / "tunnel-00f11e")
    (folder / "tunnel-x\x1b[31m").write_text("")
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(folder / "tunnel-005111"))
    silent.listen(1)
    try:
        r = me.ok("tunnel", "list", "-o", "json")
        assert r.json() == [] and r.err.count("\n") == 1 and "005111" in r.err and "does not answer" in r.err
        assert not (folder / "tunnel-00dead").exists()
        assert (folder / "tunnel-00f11e").exists()
    finally:
        silent.close()
        for p in folder.glob("tunnel-*"):
            if "tunnels.log" not in p.name:
                p.unlink()


@needs_root
def test_a_socket_that_may_be_another_machines_stays(me, tmp_path):
    """A file system that is not known to be this machine's alone: a home that machines share is mounted by many names."""
    body = "import os,socket,sys\nos.mkdir(sys.argv[1]+'/caponier',0o700)\nsocket.socket(socket.AF_UNIX).bind(sys.argv[1]+'/caponier/tunnel-00dead')"
    r = subprocess.run(["unshare", "-m", "sh", "-ec", 'mount -t ramfs none "$1"; /usr/bin/python3 -c "$2" "$1"; shift 2; "$@"; ls "$XDG_STATE_HOME/caponier"',
                        "sh", tmp_path, body, *me.argv("tunnel", "list")], env={**me.env, "XDG_STATE_HOME": str(tmp_path)}, capture_output=True, text=True)
    assert r.returncode == 0 and "tunnel-00dead" in r.stdout, r


@needs_root
def test_the_socket_of_another_user_is_not_asked_and_asks_nobody_else(me):
    folder = me.dir / ".local/state/caponier"
    t = detach(me, "web1")
    path = folder / f"tunnel-{t['id']}"
    body = "import os,socket,sys\nd=os.open(sys.argv[1],os.O_PATH)\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n" \
           "s=socket.socket(socket.AF_UNIX)\ntry:\n  s.connect(f'/proc/self/fd/{d}/'+sys.argv[2]); s.sendall(b'stop\\n'); print(s.recv(100))\n" \
           "except OSError as e: print(type(e).__name__)"
    r = subprocess.run(["/usr/bin/python3", "-c", body, folder, path.name], capture_output=True, text=True)
    assert "PermissionError" in r.stdout, r
    path.chmod(0o666)
    folder.chmod(0o755)
    try:
        r = subprocess.run(["/usr/bin/python3", "-c", body, folder, path.name], capture_output=True, text=True)
        assert r.stdout.strip() in ("b''", "ConnectionResetError", "BrokenPipeError", "PermissionError"), r
    finally:
        folder.chmod(0o700)
    assert alive(t["pid"]) and len(me.json("tunnel", "list")) == 1
    fake = socket.socket(socket.AF_UNIX)  # one that another user's process serves
    fake.bind(str(folder / "tunnel-00fa4e"))
    os.chown(folder / "tunnel-00fa4e", SECOND, SECOND)
    fake.listen(1)
    try:
        assert [x["id"] for x in me.json("tunnel", "list")] == [t["id"]]
    finally:
        fake.close()
        (folder / "tunnel-00fa4e").unlink()


def test_no_folder_at_all(me):
    env = {k: v for k, v in me.env.items() if k != "HOME"}
    r = run(me, env, "tunnel", "web1", "--detach")
    assert r.returncode == 2 and "HOME" in r.stderr and r.stderr.count("\n") == 1 and not r.stdout
    r = run(me, env, "tunnel", "list", "-o", "json")
    assert r.returncode == 0 and r.stdout == "[]\n" and r.stderr == ""
    r = run(me, env, "tunnel", "web1", "--timeout", "1", "-o", "tsv")  # in the foreground it serves
    assert r.returncode == 0 and "will not show this tunnel" in r.stderr and r.stdout.strip().isdigit()


# ---- in the background ----

def test_an_answer_that_cannot_be_given_is_a_failure(me):
    with open("/dev/full", "w") as full:
        for form in ("table", "json", "tsv"):
            r = subprocess.run(me.argv("tunnel", "web1", "--detach", "-o", form), env=me.env, stdout=full, stderr=subprocess.PIPE, text=True)
            assert r.returncode == 1 and "stdout" in r.stderr, (form, r)
    assert me.json("tunnel", "list") == []


def test_descriptors_0_to_2_may_be_closed(me):
    r = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *map(str, me.argv("tunnel", "web1", "--detach"))], env=me.env)
    assert r.returncode == 0
    row, = me.json("tunnel", "list")
    assert os.readlink(f"/proc/{row['pid']}/fd/0") == "/dev/null" and os.readlink(f"/proc/{row['pid']}/fd/2").endswith("tunnels.log")


def test_who_gave_up_waiting_leaves_no_tunnel(me):
    r, w = os.pipe()
    os.set_blocking(w, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(w, b"x" * 4096)  # until it is full, so that the child cannot say yet that it is ready
    os.set_blocking(w, True)
    p = subprocess.Popen(me.argv("tunnel", "web1", "--detach"), env=me.env, stdout=w, stderr=subprocess.DEVNULL)
    os.close(w)
    sockets = lambda: list((me.dir / ".local/state/caponier").glob("tunnel-??????"))
    eventually(sockets)
    p.kill()
    p.wait()
    with os.fdopen(r, "rb") as f:
        assert b"Listening" in f.read()  # to its end, which is the child's
    eventually(lambda: not sockets(), 5, "nothing is left behind")
    assert me.json("tunnel", "list") == []


def test_detach_lets_go_of_the_caller(me, sshd):
    kept_r, kept_w = os.pipe()
    before = time.monotonic()
    r = subprocess.run(me.argv("tunnel", "web1", "--detach", "-o", "json"), env=me.env, capture_output=True, text=True, pass_fds=[kept_w], timeout=30)
    assert r.returncode == 0 and r.stderr == "", r  # it returns only when nobody holds its output
    assert time.monotonic() - before < 15 * PATIENCE
    os.close(kept_w)
    assert select.select([kept_r], [], [], 10)[0] and os.read(kept_r, 1) == b""  # nor the other descriptor
    os.close(kept_r)
    t = json.loads(r.stdout)
    assert {os.readlink(f"/proc/{t['pid']}/fd/{fd}") for fd in (0, 1)} == {"/dev/null"}
    log = pathlib.Path(os.readlink(f"/proc/{t['pid']}/fd/2"))
    assert log == me.dir / ".local/state/caponier/tunnels.log" and stat.S_IMODE(log.stat().st_mode) == 0o600
    assert os.readlink(f"/proc/{t['pid']}/cwd") == "/"
    assert os.getsid(t["pid"]) == t["pid"]
    assert ssh(sshd, t["port"], "echo", "through").stdout == "through\n"
    me.ok("tunnel", "stop", t["id"])


def test_detach_says_how_to_end_it(me):
    r = me.ok("tunnel", "web1", "--detach")
    assert "caponier tunnel stop " in r.out and r.out.startswith("Listening on 127.0.0.1:") and r.err == ""
    assert me.ok("tunnel", "db1", "--detach", "-o", "tsv").out.strip().isdigit()
    assert me.ok("tunnel", "stop", "--all").out.count("\n") == 3
    assert me.ok("tunnel", "stop", "--all").out == ""


def test_list_in_every_format(me, target):
    t = detach(me, "scripted")
    with session(t["port"], target) as (c, s):
        c.sendall(b"u" * 1000)
        got = 0
        while got < 1000:
            got += len(s.recv(65536))
        row = eventually(lambda: [x for x in me.json("tunnel", "list") if x["bytesUp"] == 1012], what="bytes show")[0]
    assert row["id"] == t["id"] and row["pid"] == t["pid"] and row["targets"] == ["scripted:22"] and row["sessions"] == 1
    assert row["listening"] == [f"127.0.0.1:{t['port']}"] and row["bytesDown"] == 11 and row["started"].endswith("Z") and row["account"] == "ada@example.test"
    eventually(lambda: me.json("tunnel", "list")[0]["sessions"] == 0, what="the session's end")
    table = me.ok("tunnel", "list").out.splitlines()
    assert table[0].split()[:2] == ["Id", "Pid"] and t["id"] in table[1] and len(table) == 2
    tsv = me.ok("tunnel", "list", "-o", "tsv").out.split("\t")
    assert tsv[0] == t["id"] and tsv[2] == "scripted:22" and tsv[6] == "1012"


def test_bash_completes_the_ids(me, tmp_path):
    ids = {detach(me, "web1")["id"], detach(me, "web1")["id"]}
    (tmp_path / "caponier").symlink_to(BUILD / "caponier")
    (tmp_path / "c").write_text(me.ok("completion", "bash").out)
    script = f"source {tmp_path}/c; COMP_WORDS=(caponier tunnel stop ''); COMP_CWORD=3; _caponier; echo \"${{COMPREPLY[@]}}\""
    r = subprocess.run(["bash", "-c", script], env={**me.env, "PATH": f"{tmp_path}:{me.env['PATH']}"}, capture_output=True, text=True)
    assert ids <= set(r.stdout.split()) and r.stderr == "", r


def test_several_machines_and_a_tunnel_in_the_foreground(me):
    path = me.dir / "several.sock"
    r = me.ok("tunnel", "-L", "0:web1:22", "-L", f"{path}:db1:22", "--detach", "-o", "tsv")
    port, sock = r.out.splitlines()
    with me.tunnel("web1") as front:
        rows = {x["id"]: x for x in me.json("tunnel", "list")}
        assert len(rows) == 2 and rows[front.ready["id"]]["pid"] == front.process.pid
        other = next(x for x in rows.values() if x["id"] != front.ready["id"])
        assert other["targets"] == ["web1:22", "db1:22"] and other["listening"] == [f"127.0.0.1:{port}", sock]
        assert me.run("tunnel", "stop", other["id"], "zzzzzz").code == 4  # the others are ended all the same
        assert not path.exists()
        me.ok("tunnel", "stop", front.ready["id"])
        assert front.process.wait(5) == 0


def test_stop_ends_sessions_on_the_gateway_within_a_second(me, admin, target):
    t = detach(me, "scripted")
    with session(t["port"], target) as (c, s):
        begun = time.monotonic()
        me.ok("tunnel", "stop", t["id"])
        assert not alive(t["pid"])
        assert s.recv(100) == b""
        assert time.monotonic() - begun < 1 * PATIENCE
        eventually(lambda: not [x for x in admin.json("session", "list")["value"] if x["targetHostName"] == "scripted"], 2, "the gateway knows")
    assert me.json("tunnel", "list") == []


def test_stop_says_when_it_does_not_end(me):
    t = detach(me, "web1")
    os.kill(t["pid"], signal.SIGSTOP)
    try:
        r = me.run("tunnel", "stop", t["id"])
        assert r.code == 1 and t["id"] in r.err and str(t["pid"]) in r.err and r.err.count("\n") == 1, r
        r = me.run("tunnel", "list")
        assert r.code == 0 and t["id"] not in r.out and "does not answer" in r.err
    finally:
        os.kill(t["pid"], signal.SIGCONT)
    eventually(lambda: not alive(t["pid"]), what="the stop that was asked for")


def test_a_killed_tunnel_is_not_shown(me):
    t = detach(me, "web1")
    os.kill(t["pid"], signal.SIGKILL)
    eventually(lambda: not alive(t["pid"]))
    assert me.json("tunnel", "list") == []
    assert not (me.dir / ".local/state/caponier" / f"tunnel-{t['id']}").exists()
    assert me.run("tunnel", "stop", t["id"]).code == 4


def test_the_log_tells_which_tunnel_and_stays_small(me, admin, target):
    log = me.dir / ".local/state/caponier/tunnels.log"
    t = detach(me, "scripted")
    log.write_text("x" * 131071 + "\n")
    with session(t["port"], target) as (c, s):
        admin.ok("session", "disconnect", "--user", "ada@example.test")
        assert s.recv(100) == b""
    line = eventually(lambda: log.exists() and log.stat().st_size < 10000 and log.read_text(), what="a line")
    assert f" {t['id']} caponier: scripted, port 22: session ended: an administrator ended the session, by " in line
    assert line.count("\n") == 1 and stat.S_IMODE(log.stat().st_mode) == 0o600
    assert log.with_name("tunnels.log.1").stat().st_size == 131072
    log.unlink()
    with session(t["port"], target) as (c, s):
        admin.ok("session", "disconnect", "--user", "ada@example.test")
        assert s.recv(100) == b""
    eventually(lambda: log.exists() and t["id"] in log.read_text(), what="the file is made anew")


# ---- ends ----

def test_idle_timeout(me, target):
    with Events(me, "scripted", "--idle-timeout", "2") as t:
        begun = time.monotonic()
        with session(t.ready["port"], target) as (c, s):
            assert t.next()["event"] == "opened"
            time.sleep(3)  # longer than it may be idle, but it is not
            assert t.process.poll() is None
        assert t.next()["event"] == "closed"
        closed = time.monotonic()
        assert t.next()["reason"] == "idle"
        assert 1.8 < time.monotonic() - closed < 3 * PATIENCE and closed - begun >= 3
        assert t.process.wait(5) == 0
    with Events(me, "scripted", "--idle-timeout", "1") as t:  # never used at all
        assert t.next()["reason"] == "idle" and t.process.wait(5) == 0


def test_nohup(me):
    with subprocess.Popen(["nohup", *map(str, me.argv("tunnel", "web1", "-o", "tsv"))], env=me.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline().strip().isdigit()
        p.send_signal(signal.SIGHUP)
        eventually(lambda: me.json("tunnel", "list"), what="it serves")
        assert p.poll() is None
        p.terminate()
        assert p.wait(10) == 0


def test_exit_with(me):
    other = subprocess.Popen(["sleep", "60"])
    r = me.ok("tunnel", "web1", "--detach", "--exit-with", other.pid, "-o", "json")
    pid = json.loads(r.out)["pid"]
    with Events(me, "web1", "--exit-with", str(other.pid)) as t:
        other.kill()
        other.wait()
        assert t.next(5)["reason"] == "exit_with" and t.process.wait(5) == 0
    eventually(lambda: not alive(pid), 3)


def test_ready_fd(me):
    r, w = os.pipe()
    p = subprocess.Popen(me.argv("tunnel", "-L", "0:web1:22", "-L", "0:db1:22", "--ready-fd", str(w), "-o", "tsv"), env=me.env, pass_fds=[w],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    os.close(w)
    with os.fdopen(r) as f:
        line = f.read()  # one line, then closed though the tunnel runs on
    assert line == "\t".join(f"127.0.0.1:{p.stdout.readline().strip()}" for _ in range(2)) + "\n" and p.poll() is None
    p.terminate()
    p.communicate(timeout=10)
    assert p.returncode == 0
    r, w = os.pipe()
    os.close(r)  # nobody reads: no failure
    q = subprocess.run(me.argv("tunnel", "web1", "--detach", "--ready-fd", str(w)), env=me.env, pass_fds=[w], capture_output=True, text=True)
    os.close(w)
    assert q.returncode == 0, q


def test_ready_fd_and_detach(me):
    r, w = os.pipe()
    q = subprocess.run(me.argv("tunnel", "web1", "--detach", "--ready-fd", str(w), "-o", "tsv"), env=me.env, pass_fds=[w], capture_output=True, text=True)
    os.close(w)
    with os.fdopen(r) as f:
        assert f.read() == f"127.0.0.1:{q.stdout}"


def test_an_idle_tunnel_does_not_wake_up(me, target):
    t = detach(me, "scripted", "--idle-timeout", "600", "--exit-with", os.getpid())
    with session(t["port"], target) as (c, s):
        switches = lambda: sum(int(n.split()[1]) for n in pathlib.Path(f"/proc/{t['pid']}/status").read_text().splitlines() if "ctxt_switches" in n)
        time.sleep(1)
        before = switches()
        time.sleep(4)
        assert switches() - before <= 2  # a ping of the carrier, at most
        assert me.json("tunnel", "list")[0]["sessions"] == 1


# ---- events ----

def test_events_of_a_session(me, admin, target):
    with Events(me, "scripted") as t:
        with session(t.ready["port"], target) as (c, s):
            opened = t.next()
            assert opened["event"] == "opened" and opened["target"] == "scripted" and opened["resourcePort"] == 22 and opened["time"].endswith("Z")
            assert [x for x in admin.json("session", "list")["value"] if x["sessionId"] == opened["session"]]
            c.sendall(b"x" * 500)
            got = 0
            while got < 500:
                got += len(s.recv(1000))
        closed = t.next()
        assert closed["event"] == "closed" and closed["session"] == opened["session"] and closed["reason"] in ("closed", "reset_client", "reset_target")
        assert closed["bytesUp"] == 512 and closed["bytesDown"] == 11 and 0 <= closed["milliseconds"] < 20000 * PATIENCE and "by" not in closed
        with session(t.ready["port"], target) as (c, s):
            assert t.next()["event"] == "opened"
            admin.ok("session", "disconnect", "--user", "ada@example.test")
            cut = t.next()
            assert cut["reason"] == "cut_admin" and cut["by"] == "root@example.test" and "administrator" in cut["message"]
        t.process.send_signal(signal.SIGINT)
        stopped = t.next()
        assert stopped["event"] == "stopped" and stopped["reason"] == "signal" and stopped["sessions"] == 2 and stopped["bytesUp"] == 524
    assert t.rest == "" and t.process.returncode == 0
    assert "session ended: an administrator ended the session, by root@example.test" in t.err


def test_events_of_refusals_and_of_the_end(me):
    with Events(me, "scripted") as t:  # nobody listens at the machine
        with socket.create_connection(("127.0.0.1", t.ready["port"])) as c:
            c.sendall(b"SSH-2.0-me\r\n")
            refused = t.next()
            assert refused["event"] == "refused" and refused["reason"].startswith("dial_") and refused["message"] and refused["target"] == "scripted"
    assert json.loads(t.rest)["reason"] == "signal" and t.process.returncode == 0


def test_events_when_the_gateway_goes_and_comes_back(own_gateway, target):
    user = own_gateway.admin
    with Events(user, "scripted", "--name", "door") as t:
        with session(t.ready["port"], target):
            assert t.next()["event"] == "opened"
            for pid in own_gateway.pids("front"):
                os.kill(pid, signal.SIGKILL)
            events = [t.next(), t.next()]
            assert {e["event"] for e in events} == {"closed", "disconnected"}
            assert next(e for e in events if e["event"] == "closed")["reason"] == "connection_lost"
        with session(t.ready["port"], target):
            assert [t.next()["event"], t.next()["event"]] == ["reconnected", "opened"]


def test_events_that_nobody_reads_do_not_hold_up_the_tunnel(me, target):
    with Events(me, "scripted") as t:
        for _ in range(400):  # more than a pipe holds
            with session(t.ready["port"], target):
                pass
        eventually(lambda: me.json("tunnel", "list")[0]["sessionsTotal"] == 400)
        while t.read(0.5):
            pass
        assert 100 < t.got.count(b"\n") < 790 and t.got.endswith(b"\n")
        t.got = b""
        with session(t.ready["port"], target):
            assert t.next()["event"] == "skipped" and t.next()["event"] == "opened"
