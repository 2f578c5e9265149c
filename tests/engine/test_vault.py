from __future__ import annotations

import pytest

from imagebuilder.errors import ConfigError, SecretError
from imagebuilder.plan.secrets import IndexPassword
from imagebuilder.spec.credential import Credential, Index
from imagebuilder.spec.secret import Secret
from imagebuilder.vault import Vault

ENVIRON = {
    "TOKEN": "val-token",
    "GROUP_TOKEN": "val-grouped",
    "OTHER": "val-other",
    "PATH": "/usr/bin:/bin",
    "EMPTY": "",
}


@pytest.mark.parametrize(
    ("secret", "rules", "value"),
    [
        (Secret("token"), {}, "val-token"),
        (Secret("TOKEN"), {}, "val-token"),
        (Secret("token", group="group"), {}, "val-grouped"),
        (Secret("token"), {"token": "env:OTHER"}, "val-other"),
        (Secret("token", group="group"), {"token": "env:OTHER"}, "val-other"),
        (Secret("token", group="group"), {"group/token": "env:OTHER", "token": "env:TOKEN"}, "val-other"),
        (Secret("x"), {"x": "command:printf 'one two'"}, "one two"),
        (Secret("x"), {"x": "command:sh -c 'echo $TOKEN'"}, "val-token"),
    ],
)
def test_where_values_come_from(secret, rules, value):
    assert Vault(ENVIRON, rules).value(secret) == value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b"one", "one"),
        (b"-----BEGIN-----\nx\n-----END-----\n", "-----BEGIN-----\nx\n-----END-----\n"),
        (" spaces ünï\n".encode(), " spaces ünï"),
    ],
)
def test_files(tmp_path, content, value):
    (tmp_path / "secret file").write_bytes(content)
    assert Vault(ENVIRON, {"x": f"file:{tmp_path}/secret file"}).value(Secret("x")) == value


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("env:ABSENT", "the variable ABSENT is not set"),
        ("env:EMPTY", "the variable EMPTY is empty"),
        ("file:/no/such/file", "/no/such/file: No such file or directory"),
        ("file:/", "Is a directory"),
        ("command:false", "false failed with exit code 1"),
        ("command:true", "true printed nothing"),
        ("command:no-such-command-here", "no-such-command-here: No such file"),
        ("command:printf '\\377'", "is not text"),
    ],
)
def test_no_value(rule, words):
    with pytest.raises(SecretError) as caught:
        Vault(ENVIRON, {"x": rule}).value(Secret("x"))
    assert words in caught.value.message
    assert caught.value.message.startswith("secret x has no value: ")
    assert "--secret x=env:VARIABLE" in (caught.value.hint or "")


def test_a_command_that_hangs(monkeypatch):
    monkeypatch.setattr("imagebuilder.vault._COMMAND_SECONDS", 0.1)
    with pytest.raises(SecretError, match="did not answer within"):
        Vault(ENVIRON, {"x": "command:sleep 5"}).value(Secret("x"))


def test_values_no_variable_can_hold(tmp_path):
    (tmp_path / "x").write_text("x" * 200_000)
    with pytest.raises(SecretError, match="100,000 bytes"):
        Vault(ENVIRON, {"x": f"file:{tmp_path / 'x'}"}).value(Secret("x"))
    (tmp_path / "x").write_bytes(b"a\0b")
    with pytest.raises(SecretError):
        Vault(ENVIRON, {"x": f"file:{tmp_path / 'x'}"}).value(Secret("x"))


@pytest.mark.parametrize("rule", ["val-itself", "env:", "command: ", "vault:x", "command:sh -c 'open"])
def test_rules_that_make_no_sense(rule):
    with pytest.raises(ConfigError) as caught:
        Vault(ENVIRON, {"x": rule})
    assert "val-itself" not in str(caught.value)


def test_all_missing_ones_are_named():
    vault = Vault(ENVIRON)
    with pytest.raises(SecretError) as caught:
        vault.values({"a": Secret("one"), "b": Secret("token"), "c": Secret("two", group="g")})
    assert "ONE" in caught.value.message
    assert "G_TWO" in caught.value.message
    assert "val-token" not in str(caught.value)


def test_values_are_looked_up_once_and_never_shown(tmp_path):
    rule = f"command:sh -c 'echo x >> {tmp_path}/count; echo val-once'"
    vault = Vault(ENVIRON, {"x": rule})
    assert {vault.value(Secret("x")), vault.value(Secret("x", mount="/run/x"))} == {"val-once"}
    assert (tmp_path / "count").read_text() == "x\n"
    assert "val" not in repr(vault)


def test_credentials_of_an_index_are_their_own_value():
    index = Index("https://host", Credential("ann", "pw"))
    found = Vault({}).values({"u": IndexPassword(index, "username"), "p": IndexPassword(index, "password")})
    assert found == {"u": "ann", "p": "pw"}
