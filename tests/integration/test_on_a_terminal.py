"""What only a terminal shows: secrets that are typed and not seen, and colour."""
import json

import pytest

from conftest import inventory
from lab.fakegate import FakeGate, signed_in
from lab.gateway import BUILD, User
from lab.terminal import AllOnTerminal

SECRET = "typed and never shown 3"
BOLD, GREEN = "\033[1m", "\033[32m"


@pytest.fixture
def people(gateway, tmp_path):
    """The arguments by which a user and a service principal sign in, the word that asks each of them, and what is to be typed."""
    name = f"{tmp_path.name}@example.test"
    gateway.admin.ok("user", "add", name, "--password-stdin", input=SECRET + "\n")
    made = gateway.admin.json("sp", "add", "typing-" + tmp_path.name)
    return {"password": (["--username", name], SECRET),
            "secret": (["--service-principal", "--username", made["appId"]], made["secret"])}


def asked(gateway, folder, args):
    user = User(gateway, folder)
    return AllOnTerminal(user.argv("login", "--ca", gateway.ca, *args), user.env)


def test_what_is_typed_signs_in_and_is_never_shown(gateway, people, tmp_path):
    for prompt, (args, secret) in people.items():
        with asked(gateway, tmp_path / prompt, args) as t:
            t.shows(f"{prompt}: ")
            assert not t.echoes
            assert t.type(secret + "\n").end() == 0, t.text
            assert secret not in t.text and t.echoes and tmp_path.name in t.text, t.text
    with asked(gateway, tmp_path / "wrong", people["password"][0]) as t:
        assert t.shows("password: ").type("something else\n").end() == 5
        assert "something" not in t.text and t.echoes, t.text


def test_who_gives_up_gets_the_terminal_back(gateway, people, tmp_path):
    for prompt, (args, secret) in people.items():
        with asked(gateway, tmp_path / prompt, args) as t:
            t.shows(f"{prompt}: ")
            assert not t.echoes
            assert t.type(secret[:5] + "\x03").end() == 130
            assert t.echoes and secret[:5] not in t.text, t.text


@pytest.fixture
def fake(tmp_path):
    row = {"kind": "virtualMachine", "id": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web1", "body": {}}
    g = FakeGate(tmp_path / "fake", {"/v1/documents": {"value": [row]}})
    yield g
    g.close()


@pytest.mark.parametrize("env, coloured", [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": ""}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False),
                                           ({"TERM": "dumb"}, False), ({}, False)])
def test_colour_is_for_terminals_that_want_it(fake, admin, tmp_path, env, coloured):
    with AllOnTerminal([BUILD / "caponier", "vm", "list"], {**signed_in(tmp_path, fake), **env}) as t:
        assert t.end() == 0 and "web1" in t.text
        assert (BOLD in t.text, "\033" in t.text) == (coloured, coloured), t.text
    file = tmp_path / "more.yaml"
    machine = {"name": "one-more", "group": "lab", "network": "hub", "address": "10.77.1.99"}
    file.write_text(json.dumps(inventory(machines=[*inventory()["machines"], machine])))
    with AllOnTerminal(admin.argv("apply", "-f", file, "--dry-run"), {**admin.env, **env}) as t:
        assert t.end() == 0 and "one-more" in t.text
        assert (GREEN in t.text, "\033" in t.text) == (coloured, coloured), t.text
