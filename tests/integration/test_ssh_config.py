"""After `caponier ssh-config` the user's own programs reach machines by name, host keys checked."""
import os
import pathlib
import shlex
import subprocess

import pytest

from conftest import inventory, started
from lab import net, vscode
from lab.sshd import Sshd

SUFFIX = "localhost"  # the host of the gateway's URL
pytestmark = pytest.mark.skipif(not net.ROOT, reason="the lab's guest account needs root")


@pytest.fixture(scope="module")
def impostor(network, folder):
    """Another sshd where db1 should be, with a host key of its own."""
    s = Sshd(network.machines, folder / "impostor-config", "10.77.2.4")
    yield s
    s.close()


@pytest.fixture(scope="module")
def keyed(network, folder, sshd, impostor):
    """A gateway that knows web1's host key, and for db1 one that is not what db1 shows."""
    g = started(network, folder / "keyed", sessions_per_user=1000, tickets_per_minute=60000)
    machines = inventory()["machines"]
    machines[0]["host_keys"] = [sshd.public_host_key()]
    machines[1]["host_keys"] = []
    machines[2]["host_keys"] = [sshd.public_host_key()]
    g.apply(inventory(machines=machines))
    yield g
    g.close()


@pytest.fixture
def config(keyed, sshd, tmp_path):
    """A user's own ssh configuration with the stanza in front."""
    path = tmp_path / "config"
    path.write_text(f"User guest\nIdentityFile {sshd.key}\nIdentitiesOnly yes\nLogLevel ERROR\nConnectTimeout 20\n")
    keyed.admin.ok("ssh-config", "--file", path, "web1")
    return path


def run(user, *argv, **kw):
    return subprocess.run([str(a) for a in argv], env=user.env, capture_output=True, text=True, timeout=60, **kw)


def known_hosts(user, config, host):
    """The file of host keys that ssh reads for it."""
    said = run(user, "ssh", "-F", config, "-G", host).stdout
    return pathlib.Path(next(line.split(" ", 1)[1] for line in said.splitlines() if line.startswith("userknownhostsfile ")))


def test_the_stanza_is_idempotent_and_removable(keyed, tmp_path):
    admin, path = keyed.admin, tmp_path / "config"
    before = "User ada\n\nHost other\n    Port 2222"  # no newline at the end
    path.write_text(before)
    path.chmod(0o640)
    admin.ok("ssh-config", "--file", path)
    once = path.read_text()
    admin.ok("ssh-config", "--file", path)
    assert path.read_text() == once and once.endswith(before) and path.stat().st_mode & 0o777 == 0o640
    admin.ok("ssh-config", "--file", path, "--suffix", "lab", "web1")
    assert path.read_text().count("# >>> caponier") == 2
    assert run(admin, "ssh", "-F", path, "-G", "x.lab").stdout.count("stricthostkeychecking true") == 1
    assert "user ada" in run(admin, "ssh", "-F", path, "-G", "other").stdout
    assert "caponier" not in run(admin, "ssh", "-F", path, "-G", "other").stdout
    admin.ok("ssh-config", "--file", path, "--remove", "--suffix", "lab")
    assert path.read_text() == once
    admin.ok("ssh-config", "--file", path, "--remove")
    assert path.read_text() == before
    assert admin.run("ssh-config", "--file", path, "--remove").code == 4
    assert once == admin.ok("ssh-config", "--print").out + before


def test_a_new_file_a_link_and_files_that_are_not_touched(keyed, tmp_path):
    admin = keyed.admin
    admin.ok("ssh-config")  # HOME has no .ssh yet
    made = admin.dir / ".ssh/config"
    assert made.stat().st_mode & 0o777 == 0o600 and made.parent.stat().st_mode & 0o777 == 0o700
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    admin.ok("ssh-config", "--file", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and "Host *." in (tmp_path / "real").read_text()
    for mode, text in ((0o666, ""), (0o600, "# >>> caponier localhost: begun\nHost x\n")):
        bad = tmp_path / "bad"
        bad.write_text(text)
        bad.chmod(mode)
        r = admin.run("ssh-config", "--file", bad)
        assert r.code == 2 and str(bad) in r.err and bad.read_text() == text
    os.mkfifo(tmp_path / "fifo")
    assert admin.run("ssh-config", "--file", tmp_path / "fifo").code == 2


@pytest.mark.parametrize("args", [["--suffix", "a b"], ["--suffix", "x\nHost *"], ["--suffix", "-x"], ["--suffix", "$(id)"], ["--suffix", ""],
                                  ["web1", "-oProxyCommand"], ["--", "-x"], ["*"], ["!web1"], ["web 1"], ["--file", "relative"], ["--print", "--remove"]])
def test_what_cannot_stand_in_a_configuration(keyed, tmp_path, args):
    r = keyed.admin.run("ssh-config", *(["--file", tmp_path / "c"] if "--file" not in args else []), *args)
    assert r.code == 2 and not (tmp_path / "c").exists(), r


def test_ssh_scp_sftp_rsync_and_git(keyed, sshd, config, tmp_path):
    admin, host = keyed.admin, f"web1.{SUFFIX}"
    r = run(admin, "ssh", "-F", config, host, "echo $0; exit 9")
    assert r.returncode == 9 and "bash" in r.stdout, r.stderr
    assert run(admin, "ssh", "-F", config, "web1", "hostname").returncode == 0
    assert run(admin, "ssh", "-F", config, "WEB1." + SUFFIX, "true").returncode == 0
    block = os.urandom(1 << 20)
    (tmp_path / "up").write_bytes(block)
    assert run(admin, "scp", "-qF", config, tmp_path / "up", f"{host}:up").returncode == 0
    assert (sshd.home / "up").read_bytes() == block
    r = run(admin, "sftp", "-qF", config, "-b", "-", host, input=f"get up {tmp_path}/down\n")
    assert r.returncode == 0 and (tmp_path / "down").read_bytes() == block, r.stderr
    r = run(admin, "rsync", "-e", f"ssh -F {config}", tmp_path / "up", f"{host}:up2")
    assert r.returncode == 0 and (sshd.home / "up2").read_bytes() == block, r.stderr
    repo = sshd.home / "repo.git"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "safe.directory=*"]
    run(admin, "git", "init", "-q", "--bare", repo, check=True)
    run(admin, "git", *author, "init", "-q", tmp_path / "work", check=True)
    run(admin, "git", "-C", tmp_path / "work", *author, "commit", "-q", "--allow-empty", "-m", "first", check=True)
    run(admin, "git", "-C", tmp_path / "work", *author, "push", "-q", repo, "HEAD:refs/heads/master", check=True)
    subprocess.run(["chown", "-R", "1077:1077", repo], check=True)
    r = run(admin, "git", "-c", f"core.sshCommand=ssh -F {config}", "clone", "-q", f"{host}:repo.git", tmp_path / "clone")
    assert r.returncode == 0, r.stderr
    assert run(admin, "git", "-C", tmp_path / "clone", "log", "--format=%s").stdout == "first\n"


def test_the_way_of_vs_code(keyed, config, tmp_path):
    def one_session():
        assert len([r for r in keyed.admin.json("session", "list")["value"] if r["targetHostName"] == "web1"]) == 1
    vscode.go(keyed.admin, config, f"web1.{SUFFIX}", tmp_path / "ctl", "10.77.1.4", one_session)


def test_a_machine_with_another_key_is_refused(keyed, config, impostor, tmp_path):
    admin, host = keyed.admin, f"db1.{SUFFIX}"
    (tmp_path / "note").write_text("for db1 alone\n")
    for argv in (["ssh", "-F", config, "-i", impostor.key, host, "echo inside"],
                 ["scp", "-F", config, "-i", impostor.key, tmp_path / "note", f"{host}:"],
                 admin.argv("scp", "-i", impostor.key, tmp_path / "note", "guest@db1:")):
        r = run(admin, *argv)
        assert r.returncode == 255 and "inside" not in r.stdout and "IDENTIFICATION HAS CHANGED" in r.stderr, (argv, r)
    assert b"Accepted" not in (impostor.dir / "sshd.log").read_bytes() and not (impostor.home / "note").exists()


def command_in(text):
    """The line of it that can be pasted."""
    (line,) = [n for n in text.splitlines() if n.startswith("  caponier ")]
    return shlex.split(line)[1:]


def test_a_machine_without_a_key_is_refused_with_what_approves_it(keyed, config, network, folder):
    admin, host = keyed.admin, f"scripted.{SUFFIX}"
    new = Sshd(network.machines, folder / "scripted-config", "10.77.1.5", 2222)
    try:
        printed = subprocess.run(["ssh-keygen", "-lf", new.dir / "host_key.pub"], capture_output=True, text=True, check=True).stdout.split()[1]
        argv = ["ssh", "-F", config, "-i", new.key, "-p", 2222, host, "echo in"]
        r = run(admin, *argv, "-o", "StrictHostKeyChecking=no")
        assert r.returncode == 255 and r.stdout == "" and f"no host key of scripted, which shows ssh-ed25519 {printed}" in r.stderr, r
        assert known_hosts(admin, config, host).read_text() == ""
        words = command_in(r.stderr)
        assert words[:3] == ["vm", "hostkey", "approve"] and {"--gateway", keyed.url, "2222", "scripted", printed} <= set(words), words
        del admin.env["CAPONIER_GATEWAY"]  # the command says all that it needs
        admin.ok(*words)
        assert run(admin, *argv).stdout == "in\n"
    finally:
        admin.env["CAPONIER_GATEWAY"] = keyed.url
        new.close()


def test_an_address_that_is_no_machine_is_refused_with_what_asks(keyed, config, network):
    r = run(keyed.admin, "ssh", "-F", config, f"{network.add('10.77.1.61')}.{SUFFIX}", "true")
    assert r.returncode == 255 and "no machine that the gateway knows" in r.stderr, r
    words = command_in(r.stderr)
    assert words[0] == "ssh" and words[-1] == "10.77.1.61" and keyed.url in words, words


def test_what_was_kept_before_does_not_help(keyed, config, sshd):
    admin = keyed.admin
    folder = admin.dir / "config/caponier/known_hosts.d"
    kept = known_hosts(admin, config, f"web1.{SUFFIX}")
    assert kept.parent == folder and kept.name.startswith(f"web1.{SUFFIX}.")
    kept.write_text("")
    kept.chmod(0o600)
    assert run(admin, "ssh", "-F", config, f"web1.{SUFFIX}", "true").returncode == 0
    assert sshd.public_host_key() in kept.read_text()
    for name in (f"nowhere.{SUFFIX}", f"%.{SUFFIX}", f"..%2f.{SUFFIX}"):
        assert run(admin, "ssh", "-F", config, name, "true").returncode == 255
    assert pathlib.Path(folder).stat().st_mode & 0o777 == 0o700
