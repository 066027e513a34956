"""How the client signs people in: by a code, by a browser of their own, and what it keeps of that."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import textwrap
import time

import pytest

from conftest import GROUP_ID
from lab.gateway import ADMIN, ADMIN_PASSWORD, PATIENCE, User
from lab.terminal import OnTerminal
from test_sessions import live
from test_signin_flows import Web, hidden, person

HERE = pathlib.Path(__file__).parent

# What opens instead of a browser: it drives the pages as a person would, and plays one trick on the way.
BROWSER = textwrap.dedent('''\
    #!/usr/bin/python3 -B
    import json, os, socket, sys, time
    sys.stderr = open(os.environ["LAB_SEEN"] + ".err", "w", buffering=1)
    sys.path.insert(0, os.environ["LAB"])
    from urllib.parse import parse_qs, urlsplit
    import requests
    from test_signin_flows import Web, hidden

    class Gateway:
        ca, url = os.environ["LAB_CA"], os.environ["LAB_URL"]

    trick, page, web = os.environ["LAB_TRICK"], sys.argv[1], Web(Gateway)
    ask = parse_qs(urlsplit(page).query)
    home, state = ask["redirect_uri"][0], ask["state"][0]
    address = ("127.0.0.1", urlsplit(home).port)
    local = requests.Session()
    local.trust_env = False
    seen = {"argv": sys.argv[1:], "stdin": os.readlink("/proc/self/fd/0"), "statuses": []}

    def call(path="/", method="GET", headers=None, **query):
        r = local.request(method, home.rstrip("/") + path, params=query, headers=headers or {}, timeout=10)
        seen["statuses"].append(r.status_code)
        return r

    if trick == "fail":
        sys.exit(3)
    if trick == "squat":  # same user: wrong guesses, other pages, silence
        call(state="wrong", code="abc"), call(state=state), call("/favicon.ico", state=state, code="abc")
        call(state=state, code="abc", headers={"Host": "evil.example"}), call(method="POST", state=state, code="abc")
        silent = [socket.create_connection(address) for _ in range(12)]
    if trick == "other-user" and os.fork() == 0:
        os.setgid(65534), os.setuid(65534)
        s = socket.create_connection(address)
        try:
            s.sendall(f"GET /?state={state}&code=abc HTTP/1.1\\r\\nHost: 127.0.0.1:{address[1]}\\r\\n\\r\\n".encode())
            got = s.recv(100)
        except ConnectionError:
            got = b""
        os._exit(len(got))
    if trick == "other-user":
        seen["other"] = os.waitstatus_to_exitcode(os.wait()[1])
    asked = web.get(page, timeout=30)
    consent = web.fill("/signin/password", flow=hidden(asked), username=os.environ["LAB_USER"], password=os.environ["LAB_PASSWORD"])
    back = web.fill("/signin/decide", flow=hidden(consent), decision="deny" if trick == "deny" else "approve")
    where = back.headers["Location"]
    r = local.get(where, timeout=10)
    seen["answer"], seen["headers"], seen["text"] = r.status_code, dict(r.headers), r.text
    try:
        local.get(where, timeout=10)
        seen["second"] = "answered"
    except requests.ConnectionError:
        seen["second"] = "refused"
    with open(os.environ["LAB_SEEN"] + ".new", "w") as f:
        json.dump(seen, f)
    os.rename(f.name, os.environ["LAB_SEEN"])
    ''')


@pytest.fixture
def person_of(gateway, tmp_path):
    """Makes the client of somebody who never signed in; its browser signs in as `name`."""
    def make(name=ADMIN, password=ADMIN_PASSWORD, folder="person"):
        u = User(gateway, tmp_path / folder)
        program = u.dir / "the browser"  # a space: no shell reads it
        program.write_text(BROWSER)
        program.chmod(0o700)
        u.env.update(BROWSER=f"no-such-browser:{program}", LAB=str(HERE), LAB_CA=str(gateway.ca), LAB_URL=gateway.url,
                     LAB_USER=name, LAB_PASSWORD=password, LAB_SEEN=str(u.dir / "seen.json"), LAB_TRICK="")
        return u
    return make


def seen(user, timeout=20 * PATIENCE):
    end = time.monotonic() + timeout
    path = pathlib.Path(user.env["LAB_SEEN"])
    while not path.exists():
        assert time.monotonic() < end, "the browser did not finish"
        time.sleep(0.05)
    return json.loads(path.read_text())


def browse(user, *args, **env):
    t = OnTerminal(user, "login", "--ca", user.gateway.ca, *args, **env)
    try:
        code = t.end(20 * PATIENCE)
    except subprocess.TimeoutExpired:
        e = pathlib.Path(user.env["LAB_SEEN"] + ".err")
        pytest.fail(t.err + (e.read_text() if e.exists() else " (no browser ran)"))
    return code, t


def approve(gateway, line, decision="approve"):
    page, code = re.search(r"open (\S+) in a browser on any machine and enter the code (\S+)", line).groups()
    assert page == gateway.url + "/device"
    web = Web(gateway)
    web.show("/device", user_code=code)
    asked = web.fill("/device", user_code=code)
    assert "caponier" in asked.text
    consent = person(web, hidden(asked))
    assert web.fill("/signin/decide", flow=hidden(consent), decision=decision).status_code == 200


# ---- refusals ----

@pytest.mark.parametrize("args", [[], ["--use-device-code", "--username", "x"], ["--use-device-code", "--service-principal"],
                                  ["--use-device-code", "--enrol"], ["--use-device-code", "--password-stdin"]])
def test_no_terminal_no_browser_and_one_way_at_a_time(person_of, args):
    u = person_of()
    r = u.run("login", "--ca", u.gateway.ca, *args)
    assert r.code == 2 and "--use-device-code" in r.err, r
    assert not pathlib.Path(u.env["LAB_SEEN"]).exists()


def test_somebody_says_no_in_the_browser(person_of):
    u = person_of()
    code, t = browse(u, LAB_TRICK="deny")
    assert code == 5 and "sign-in refused" in t.err, t.err
    assert not (u.dir / "config/caponier/contexts.json").exists()


def test_somebody_says_no_to_the_code(person_of):
    u = person_of()
    t = OnTerminal(u, "login", "--use-device-code", "--ca", u.gateway.ca)
    approve(u.gateway, t.said("enter the code"), "deny")
    assert t.end() == 5 and "said no" in t.err, t.err


def test_callers_without_the_state_are_refused_and_it_goes_on(person_of):
    u = person_of()
    code, t = browse(u, LAB_TRICK="squat")
    assert code == 0, t.err
    assert seen(u)["statuses"] == [400, 400, 404, 400, 405] and seen(u)["answer"] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_users_program_is_refused_and_it_goes_on(person_of):
    u = person_of()
    code, t = browse(u, LAB_TRICK="other-user")
    assert code == 0, t.err
    assert seen(u)["other"] == 0 and "another user" in t.err


# ---- what works ----

def test_a_browser_signs_in(person_of):
    u = person_of()
    code, t = browse(u, "-o", "json")
    assert code == 0, t.err
    assert json.loads(t.out)["user"] == ADMIN
    s = seen(u)
    assert len(s["argv"]) == 1 and s["stdin"] == "/dev/null"
    assert s["argv"][0].startswith(u.gateway.url + "/adfs/oauth2/authorize?") and "code_challenge_method=S256" in s["argv"][0]
    assert s["answer"] == 200 and s["headers"]["Referrer-Policy"] == "no-referrer" and "close this window" in s["text"]
    assert s["second"] == "refused"
    assert u.json("account", "show")["name"] == ADMIN
    kept = u.dir / "config/caponier/contexts.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["contexts"][0]["refreshToken"]


def test_a_code_signs_in_without_a_terminal(person_of):
    u = person_of()
    argv = u.argv("login", "--use-device-code", "--ca", u.gateway.ca, "-o", "json")
    with subprocess.Popen(argv, env=u.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        approve(u.gateway, p.stderr.readline())
        out, err = p.communicate(timeout=30 * PATIENCE)
    assert p.returncode == 0 and not err, err
    assert json.loads(out)["user"] == ADMIN


@pytest.mark.parametrize("why,env", [("no xdg-open", {"BROWSER": "", "DISPLAY": ":7", "PATH": "/nonexistent"}),
                                     ("no display", {"BROWSER": "no-such-thing"}), ("it fails", {"LAB_TRICK": "fail"})])
def test_where_no_browser_opens_a_code_is_shown(person_of, why, env):
    u = person_of()
    t = OnTerminal(u, "login", "--ca", u.gateway.ca, **env)
    approve(u.gateway, t.said("enter the code"))
    assert t.end() == 0, t.err
    assert "with a code instead" in t.err


def test_programs_of_the_current_folder_are_not_run(person_of):
    u = person_of()
    (u.dir / "xdg-open").write_text(f"#!/bin/sh\ntouch {u.dir}/ran\n")
    (u.dir / "xdg-open").chmod(0o755)
    t = OnTerminal(u, "login", "--ca", u.gateway.ca, BROWSER="./xdg-open", DISPLAY=":7", PATH=f":.:{u.dir.name}", PWD=str(u.dir))
    approve(u.gateway, t.said("enter the code"))
    assert t.end() == 0 and not (u.dir / "ran").exists()


# ---- what is kept ----

def kept(user):
    return user.dir / "config/caponier/contexts.json"


def change(user, **members):
    """Members of the first context, as another process may have left them."""
    text = json.loads(kept(user).read_text())
    text["contexts"][0].update(members)
    kept(user).write_text(json.dumps(text))
    return text["contexts"][0]


@pytest.fixture
def signed_in(person_of):
    u = person_of()
    u.login(ADMIN, ADMIN_PASSWORD)
    return u


def make_symlink(f):
    f.rename(f.with_suffix(".real"))
    f.symlink_to(f.with_suffix(".real"))


def make_fifo(f):
    f.unlink()
    os.mkfifo(f, 0o600)


def make_gibibyte(f):
    os.truncate(f, 1 << 30)


def make_truncated(f):
    os.truncate(f, f.stat().st_size // 2)


def make_folder_open(f):
    f.parent.chmod(0o755)


@pytest.mark.parametrize("spoil,says", [
    (make_symlink, "symbolic link"), (make_fifo, "regular file"), (make_gibibyte, "longer than"), (make_truncated, "not what caponier wrote"),
    (lambda f: f.chmod(0o644), "0644"), (make_folder_open, "0755"),
    pytest.param(lambda f: os.chown(f, 65534, 65534), "another user", marks=pytest.mark.skipif(os.geteuid() != 0, reason="chown"))])
def test_a_file_that_others_touched_is_refused_at_once(signed_in, spoil, says):
    spoil(kept(signed_in))
    began = time.monotonic()
    r = signed_in.run("account", "show")
    assert r.code == 2 and says in r.err and not r.out, r
    again = signed_in.run("login", "--username", ADMIN, "--password-stdin", "--ca", signed_in.gateway.ca, input=ADMIN_PASSWORD + "\n")
    assert again.code == 2 and says in again.err, again  # refused, never mended
    assert time.monotonic() - began < 5 * PATIENCE


@pytest.mark.release_only  # it only waits, for long
def test_a_stuck_lock_is_waited_for_and_then_named(signed_in):
    lock = kept(signed_in).parent / "renew.lock"
    with open(os.open(lock, os.O_CREAT | os.O_RDWR, 0o600), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        change(signed_in, expiresOn=int(time.time()) + 100)  # good still: the old one serves
        assert signed_in.run("account", "show").code == 0
        change(signed_in, expiresOn=0)
        r = signed_in.run("account", "show")
        assert r.code == 1 and "another caponier holds" in r.err, r
    assert signed_in.run("account", "show").code == 0


def test_a_full_disk_leaves_the_old_file(signed_in):
    before = kept(signed_in).read_text()
    (kept(signed_in).parent / ".contexts.json.new").mkdir()  # nothing can be written beside it
    r = signed_in.run("account", "set", "--account", ADMIN)
    assert r.code == 1 and r.err and kept(signed_in).read_text() == before


def test_processes_that_share_a_file_renew_once(signed_in):
    old = change(signed_in, expiresOn=0)
    argv = signed_in.argv("account", "show", "-o", "json")
    running = [subprocess.Popen(argv, env=signed_in.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(6)]
    done = [(p.communicate(timeout=30 * PATIENCE), p.returncode) for p in running]
    assert all(code == 0 and not err for (_, err), code in done), done
    new = json.loads(kept(signed_in).read_text())["contexts"][0]
    assert new["refreshToken"] != old["refreshToken"] and new["accessToken"] != old["accessToken"]
    change(signed_in, expiresOn=0)
    assert signed_in.run("account", "show").code == 0  # the family lives


def test_an_ended_sign_in_says_what_to_do(signed_in):
    change(signed_in, expiresOn=0, refreshToken="A" * 43)
    r = signed_in.run("vm", "list")
    assert r.code == 5 and "run 'caponier login'" in r.err, r
    change(signed_in, refreshToken="")
    r = signed_in.run("vm", "list")
    assert r.code == 5 and "run 'caponier login'" in r.err, r


def test_logout_ends_copies_too(signed_in, tmp_path):
    copy = User(signed_in.gateway, tmp_path / "thief")
    shutil.copytree(signed_in.dir / "config", copy.dir / "config")
    signed_in.ok("logout")
    assert signed_in.run("account", "show").code == 5 and signed_in.run("logout").code == 5
    assert "oken\"" not in kept(signed_in).read_text()
    change(copy, expiresOn=0)
    assert copy.run("account", "show").code == 5


def test_logout_without_the_gateway_forgets_all_the_same(signed_in):
    text = kept(signed_in).read_text().replace(signed_in.gateway.url, "https://localhost:1")
    kept(signed_in).write_text(text)
    signed_in.env["CAPONIER_GATEWAY"] = "https://localhost:1"
    r = signed_in.run("logout")
    assert r.code == 0 and "could not be told" in r.err, r
    assert json.loads(kept(signed_in).read_text())["contexts"] == []


def test_several_accounts_and_gateways(signed_in, own_gateway):
    u, ada = signed_in, signed_in.gateway.user("ada@example.test")
    del u.env["CAPONIER_GATEWAY"]
    here, there = u.gateway.url, own_gateway.url
    u.ok("login", "--gateway", here, "--username", "ada@example.test", "--password-stdin", "--ca", u.gateway.ca, input=ada.password + "\n")
    u.ok("login", "--gateway", there, "--username", ADMIN, "--password-stdin", "--ca", own_gateway.ca, input=ADMIN_PASSWORD + "\n")

    def who(*args):
        shown = u.json("account", "show", *args)
        assert len(shown["signedIn"]) == 3
        return shown["gateway"], shown["name"]

    assert who() == (there, ADMIN)
    assert who("--gateway", here) == (here, "ada@example.test")
    assert who("--account", "ADA@example.test") == (here, "ada@example.test")
    assert who("--gateway", here, "--account", ADMIN) == (here, ADMIN)
    assert [(r["gateway"], r["user"], r["current"]) for r in u.json("account", "list", "--all")] == [
        (there, ADMIN, True), (here, "ada@example.test", False), (here, ADMIN, False)]
    assert "oken" not in u.ok("account", "list", "--all", "-o", "json").out
    r = u.run("account", "show", "--gateway", there, "--account", "ada@example.test")
    assert r.code == 5 and "ada@example.test is not signed in" in r.err, r
    assert u.run("account", "set").code == 2
    assert u.run("account", "set", "--account", "eve").code in (2, 5)
    u.ok("account", "set", "--account", "ada@example.test")
    assert who() == (here, "ada@example.test")
    r = u.ok("logout")
    assert ADMIN in r.err and there in r.err
    assert [r["user"] for r in u.json("account", "list", "--all")] == [ADMIN, ADMIN]
    assert u.run("account", "clear", "--account", ADMIN).code == 2
    u.ok("account", "clear")
    assert u.json("account", "list", "--all") == [] and u.run("account", "show").code == 2


def test_somebody_else_than_meant(signed_in):
    ada = signed_in.gateway.user("ada@example.test")
    before = kept(signed_in).read_text()
    r = signed_in.run("login", "--account", ADMIN, "--username", "ada@example.test", "--password-stdin", "--ca", signed_in.gateway.ca,
                      input=ada.password + "\n")
    assert r.code == 3 and "nothing is kept" in r.err and kept(signed_in).read_text() == before


# ---- tunnels that outlive their token ----

def test_a_tunnel_renews_aside_and_nothing_waits(signed_in, target):
    """A further carrier needs a token while the lock is stuck: what runs is served all the same."""
    spare, streams = 300, 256  # CPN_TOKEN_SPARE_S, CPN_SESSION_STREAMS_MAX
    old = change(signed_in, expiresOn=int(time.time()) + spare + 4)
    with signed_in.tunnel("--name", "door", "scripted") as t, contextlib.ExitStack() as stack:
        c, s = stack.enter_context(live(t, target))
        for _ in range(streams - 1):
            stack.enter_context(live(t, target))
        time.sleep(max(0, old["expiresOn"] - spare - time.time() + 1))
        with open(os.open(kept(signed_in).parent / "renew.lock", os.O_CREAT | os.O_RDWR, 0o600), "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            further = stack.enter_context(socket.create_connection(("127.0.0.1", t.port)))
            further.settimeout(20)
            further.sendall(b"SSH-2.0-further\r\n")
            worst, end = 0, time.monotonic() + 2
            while time.monotonic() < end:
                began = time.monotonic()
                c.sendall(b"ping")
                assert s.recv(100) == b"ping"
                worst = max(worst, time.monotonic() - began)
                time.sleep(0.02)
            assert worst < 0.5 * PATIENCE, worst
            assert kept(signed_in).read_text().count(old["refreshToken"]) == 1
        s2, _ = target.accept()
        stack.enter_context(s2)
        s2.settimeout(20)
        assert s2.recv(100) == b"SSH-2.0-further\r\n"
        assert old["refreshToken"] not in kept(signed_in).read_text()
        assert not t.stderr()


def further_stream(t, stack):
    s = stack.enter_context(socket.create_connection(("127.0.0.1", t.port)))
    s.settimeout(20)
    s.sendall(b"SSH-2.0-further\r\n")
    return s


def test_a_tunnel_that_cannot_renew_uses_what_it_has(signed_in, target):
    """The token is good for some minutes yet: nothing stands still for a better one."""
    change(signed_in, expiresOn=int(time.time()) + 200)
    with signed_in.tunnel("--name", "door", "scripted") as t, contextlib.ExitStack() as stack:
        change(signed_in, refreshToken="A" * 43)
        for _ in range(256):
            stack.enter_context(live(t, target))
        further_stream(t, stack)
        s, _ = target.accept()
        stack.enter_context(s)
        s.settimeout(20)
        assert s.recv(100) == b"SSH-2.0-further\r\n"


def test_a_tunnel_whose_sign_in_has_ended_says_so(gateway, person_of, target):
    admin, ada = gateway.admin, gateway.user("fleeting@example.test")
    admin.ok("role", "assign", "--assignee", "fleeting@example.test", "--role", "Reader", "--scope", GROUP_ID)
    with ada.tunnel("--name", "door", "scripted") as t, contextlib.ExitStack() as stack:
        for _ in range(256):
            stack.enter_context(live(t, target))
        admin.ok("user", "password", "fleeting@example.test", "--password-stdin", input="a third long password 3\n")
        assert b"caponier login" in further_stream(t, stack).makefile("rb").read()
        assert "run 'caponier login'" in t.stderr()


def test_ssh_uses_the_account_that_its_configuration_was_made_for(signed_in):
    assert "--account" not in signed_in.ok("ssh-config", "--print").out
    assert f" --account '{ADMIN}'" in signed_in.ok("ssh-config", "--print", "--account", ADMIN).out
