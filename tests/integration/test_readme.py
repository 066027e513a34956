"""README's steps, as they stand there, on a terminal: a new administrator and a new user do nothing else."""
import os
import pathlib
import shlex
import shutil

from lab.gateway import Gateway, User
from lab.terminal import AllOnTerminal

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIRST, ADAS = "a long first password 1", "her own long password 2"


def steps(heading):
    """The command lines of the first block after these words."""
    block = README[README.index(heading):].split("```sh\n", 1)[1].split("```", 1)[0]
    return [line.partition("   #")[0].partition("; in another")[0].strip() for line in block.splitlines()]


class Newcomer(User):
    """A folder of their own with what they were given; README's name of the gateway is ours."""

    def __init__(self, gateway, folder):
        super().__init__(gateway, folder)
        shutil.copy(gateway.ca, self.dir / "ca.pem")
        shutil.copytree(ROOT / "examples", self.dir / "examples")

    def follow(self, line, *replies):
        """Types a line of README, and each reply when its word is shown; the terminal's text."""
        words = shlex.split(line)
        program = self.client / "caponier" if words[0] == "caponier" else words[0]
        with AllOnTerminal(["env", "-C", self.dir, *self.gateway.from_outside(program, *words[1:])], self.env) as t:
            for word, reply in replies:
                t.shows(word).type(reply + "\n")
            assert t.end() == 0, (line, t.text)
            return t.text


def test_what_a_new_administrator_and_a_new_user_type(network, folder, sshd):
    g = Gateway(network, folder / "readme").start()
    try:
        admin, ada = Newcomer(g, folder / "readme-admin"), Newcomer(g, folder / "readme-ada")
        code = (g.state / "enrolment-code").read_text().strip()
        export, login, copy, dry, apply, password, approve = steps("As the first administrator:")
        assert export.startswith("export CAPONIER_GATEWAY=https://")
        admin.follow(login, ("password", FIRST), ("again", FIRST), ("code", code))
        admin.follow(copy)
        inventory = admin.dir / "inventory.yaml"
        inventory.write_text(inventory.read_text().replace("10.0.1.4", sshd.addr).replace("10.0.0.0/16", "10.77.0.0/16").replace("10.0.1.5", "10.77.2.4"))
        assert "web1" in admin.follow(dry)
        admin.follow(apply, ("[y/N]", "y"))
        admin.follow(password, ("password", ADAS), ("again", ADAS))
        admin.follow(approve, ("SHA256:", "y"))

        _, login, ssh, *_ = steps("As Ada, on her own computer")  # the tunnel's lines are test_seed_steps.py's
        ada.follow(login + " --username ada@example.test", ("password", ADAS))
        os.chmod(sshd.key, 0o600)
        assert "inside" in ada.follow(f"{ssh} -- -i {sshd.key} -l {sshd.user} echo inside")
    finally:
        g.close()
