"""docs/azure-cli.md, followed word by word: its blocks in order, in one shell, in a home with nothing but the CA."""
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import time

import pytest

from conftest import GROUP_ID, inventory
from lab.az import Azure, Outside
from lab.browser import Browser
from lab.gateway import Gateway, PATIENCE

PAGE = pathlib.Path(__file__).parents[3] / "docs/azure-cli.md"
NEEDS = "**Needs the bastion extension**"
HOST = "bastion.example.org"
ADA, ADA_PASSWORD, ROOT, ROOT_PASSWORD = "ada@example.org", "another long password 2", "root@example.org", "a long first password 1"


def blocks():
    """(runs, text) of every shell block. One does not run if the paragraph before it says what it needs."""
    found, paragraph, inside = [], "", None
    for line in PAGE.read_text().splitlines():
        if inside is not None:
            if line == "```":
                found.append((NEEDS not in paragraph, "\n".join(inside)))
                inside, paragraph = None, ""
            else:
                inside.append(line)
        elif line == "```sh":
            inside = []
        elif line:
            paragraph = line if paragraph.endswith("\n") else paragraph + line
        else:
            paragraph += "\n"
    return found


class Named(Outside):
    """Outside, where HOST is a name of this machine, as a resolver or /etc/hosts would say."""

    def __init__(self, folder, inside=None):
        self.hosts = pathlib.Path(folder) / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
        super().__init__(inside=inside)

    def argv(self, *argv):
        return super().argv("unshare", "-m", "sh", "-c", f'mount --bind {self.hosts} /etc/hosts && exec "$@"', "sh", *argv)


@pytest.fixture
def town(network, tmp_path):
    """The page's gateway: HOST on port 443, Ada and Ben, a service principal."""
    ns = Named(tmp_path, inside=network.gateway)
    g = Gateway(network, tmp_path / "gateway", outside=ns, public_url=f"https://{HOST}", listen=["127.0.0.1:443"])
    g.listener.close()
    g.listener, g.port, g.url = ns.listen("127.0.0.1", 443), 443, f"https://{HOST}"
    g.start()
    admin = g.enrol(ROOT, ROOT_PASSWORD)
    g.apply(inventory())
    admin.ok("user", "add", ADA, "--password-stdin", input=ADA_PASSWORD + "\n")
    admin.ok("user", "add", "ben@example.org", "--password-stdin", input="yet another password 3\n")
    g.robot = json.loads(admin.ok("sp", "add", "robot", "-o", "json").out)
    for who in (ADA, "robot"):
        admin.ok("role", "assign", "--assignee", who, "--role", "Reader", "--scope", GROUP_ID)
    yield g
    g.close()
    ns.close()


class Terminal:
    """A shell on a terminal, and somebody at it who answers when asked."""

    def __init__(self, argv, env):
        self.fd, theirs = pty.openpty()
        self.process = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.text = ""

    def talk(self, answers, seconds):
        """answers: pattern → what to do with the match and what came before it. Each is looked for after the last."""
        deadline, seen = time.monotonic() + seconds * PATIENCE, 0
        while time.monotonic() < deadline:
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                got = os.read(self.fd, 65536)
            except OSError:  # the other end is gone
                got = b""
            if not got:
                return self.process.wait(timeout=30)
            self.text += got.decode(errors="replace")
            for pattern, act in answers.items():
                while found := re.compile(pattern).search(self.text, seen):
                    seen = found.end()
                    if reply := act(found, self.text[:found.start()]):
                        os.write(self.fd, reply.encode() + b"\n")
        self.process.kill()
        raise AssertionError("not done in time:\n" + self.text)


def test_the_page_has_its_blocks():
    runs = [r for r, _ in blocks()]
    assert runs.count(True) >= 10 and runs.count(False) == PAGE.read_text().count("\n" + NEEDS)


def test_word_by_word(town, tmp_path):
    az = Azure(town, tmp_path / "home")
    (az.dir / "caponier-ca.pem").write_text(town.ca.read_text())
    script = az.dir / "page.sh"
    script.write_text("set -ex\n" + "\n".join(text for runs, text in blocks() if runs) + "\necho the end\n")
    env = {k: az.env[k] for k in ("PATH", "HOME", "LANG", "TERM")} | {
        "ROBOT_APP_ID": town.robot["appId"], "ROBOT_SECRET": town.robot["secret"]}

    def password(_, before):
        return {ADA: ADA_PASSWORD, ROOT: ROOT_PASSWORD}[re.findall(r"az login -u (\S+)", before)[-1]]

    def approve(found, _):
        b = Browser(town.outside, town.state / "tls.pem")
        try:
            b.open(found[1]).fill(user_code=found[2]).press("Next")
            b.fill(username=ADA, password=ADA_PASSWORD).press("Sign in")
            b.press("Approve")
        finally:
            b.close()

    shell = Terminal(town.from_outside("bash", script), env)
    code = shell.talk({"Password: ": password, r"(https://\S+) and enter the\s+code\s+(\S+)\s+to": approve}, 120)
    assert code == 0 and "the end" in shell.text, shell.text
    assert "ben@example.org\tReader" in shell.text, shell.text
    assert town.outside.tried() <= 4, "more than the one look-up of a new home"
