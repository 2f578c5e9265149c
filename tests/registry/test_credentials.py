"""Where logins are found, and in which order."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from imagebuilder.errors import ConfigError, RegistryError
from imagebuilder.registry import Credential, CredentialStore


def entry(user, password="pw"):
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def user(store, registry="r.io", repository="team/app"):
    found = store.lookup(registry, repository)
    return found.username if found else None


@pytest.fixture
def helper(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(name, script):
        path = folder / f"docker-credential-{name}"
        path.write_text(f"#!/bin/sh\necho run >> {tmp_path}/{name}.log\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {"PATH": f"{folder}:/usr/bin:/bin"}

    return make


def test_the_order_of_the_files(tmp_path):
    home = tmp_path / "home"
    environ = {
        "REGISTRY_AUTH_FILE": str(write(tmp_path / "explicit.json", auths={"a.io": entry("explicit")})),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "DOCKER_AUTH_CONFIG": json.dumps({"auths": {key: entry("inline") for key in ("a.io", "f.io")}}),
    }
    write(tmp_path / "run/containers/auth.json", auths={key: entry("runtime") for key in ("a.io", "b.io")})
    write(tmp_path / "config/containers/auth.json", auths={key: entry("config") for key in ("a.io", "b.io", "c.io")})
    write(tmp_path / "docker/config.json", auths={key: entry("docker") for key in ("a.io", "c.io", "d.io")})
    write(home / ".docker/config.json", auths={"e.io": entry("home")})
    store = CredentialStore(environ, home)
    found = [user(store, f"{letter}.io") for letter in "abcdef"]
    assert found == ["explicit", "runtime", "config", "docker", None, "inline"]
    del environ["DOCKER_CONFIG"]
    assert user(CredentialStore(environ, home), "e.io") == "home"


def test_the_default_places_below_home(tmp_path):
    write(tmp_path / ".config/containers/auth.json", auths={"a.io": entry("podman")})
    write(tmp_path / ".docker/config.json", auths={"a.io": entry("docker"), "b.io": entry("docker")})
    store = CredentialStore({}, tmp_path)
    assert [user(store, "a.io"), user(store, "b.io")] == ["podman", "docker"]


def test_no_home_and_no_files():
    assert CredentialStore({}, None).lookup("r.io", "a/b") is None
    assert CredentialStore().paths() == ()


def test_the_most_specific_namespace_wins(tmp_path):
    write(
        tmp_path / ".docker/config.json",
        auths={
            "r.io": entry("host"),
            "r.io/team": entry("team"),
            "r.io/team/app": entry("app"),
            "r.io/te": entry("no"),
        },
    )
    store = CredentialStore({}, tmp_path)
    asked = ["team/app", "team/app/sub", "team/other", "other"]
    assert [user(store, "r.io", repository) for repository in asked] == ["app", "app", "team", "host"]


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://registry-1.docker.io/v2/"]
)
def test_docker_hubs_keys(tmp_path, key):
    write(tmp_path / ".docker/config.json", auths={key: entry("hub")})
    assert user(CredentialStore({}, tmp_path), "docker.io", "library/x") == "hub"


@pytest.mark.parametrize("key", ["https://r.io", "http://r.io/v2/", "r.io/v1/", "r.io"])
def test_old_spellings_of_keys(tmp_path, key):
    write(tmp_path / ".docker/config.json", auths={key: entry("x")})
    assert user(CredentialStore({}, tmp_path)) == "x"


def test_a_port_is_another_registry(tmp_path):
    write(tmp_path / ".docker/config.json", auths={"r.io": entry("x")})
    assert user(CredentialStore({}, tmp_path), "r.io:5000") is None


def test_passwords_with_colons_and_identity_tokens(tmp_path):
    auths = {
        "a.io": entry("u", "p:q:r"),
        "b.io": {**entry("<token>", ""), "identitytoken": "idt"},
        "c.io": {"username": "u", "password": "p"},
        "d.io": {},
        "e.io": {"auth": ""},
    }
    write(tmp_path / ".docker/config.json", auths=auths)
    store = CredentialStore({}, tmp_path)
    assert store.lookup("a.io", "x").password == "p:q:r"
    assert store.lookup("b.io", "x").identity_token == "idt"
    assert store.lookup("c.io", "x").password == "p"
    assert store.lookup("d.io", "x") is store.lookup("e.io", "x") is None


def test_overrides_win(tmp_path):
    write(tmp_path / ".docker/config.json", auths={"r.io/team/app": entry("file")})
    store = CredentialStore({}, tmp_path, {"r.io": Credential("override", "x")})
    assert user(store) == "override"
    assert user(store, "s.io") is None


def test_helpers_before_the_store_and_only_where_used(tmp_path, helper):
    environ = helper("one", """cat >/dev/null; echo '{"Username": "one", "Secret": "s"}'""")
    helper("all", """read server; echo "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"s\\"}" """)
    write(
        tmp_path / ".docker/config.json", credHelpers={"r.io": "one"}, credsStore="all", auths={"r.io": {}, "s.io": {}}
    )
    store = CredentialStore(environ, tmp_path)
    assert not list(tmp_path.glob("*.log"))
    assert [user(store), user(store)] == ["one", "one"]
    assert (tmp_path / "one.log").read_text() == "run\n"
    assert not (tmp_path / "all.log").exists()
    assert user(store, "s.io") == "s.io"
    assert user(store, "docker.io") == "https://index.docker.io/v1/"


def test_a_helper_that_finds_nothing_is_anonymous(tmp_path, helper):
    environ = helper("none", "echo credentials not found in native keychain; exit 1")
    write(tmp_path / ".docker/config.json", credsStore="none")
    assert CredentialStore(environ, tmp_path).lookup("r.io", "x") is None


def test_a_helpers_identity_token(tmp_path, helper):
    environ = helper("token", """echo '{"Username": "<token>", "Secret": "idt"}'""")
    write(tmp_path / ".docker/config.json", credsStore="token")
    found = CredentialStore(environ, tmp_path).lookup("r.io", "x")
    assert (found.username, found.identity_token) == ("", "idt")


@pytest.mark.parametrize(
    ("script", "why"), [("echo hunter2; echo locked >&2; exit 1", "locked"), ("echo hunter2", "not the JSON")]
)
def test_a_helper_that_fails(tmp_path, helper, script, why):
    environ = helper("bad", script)
    write(tmp_path / ".docker/config.json", credsStore="bad")
    with pytest.raises(RegistryError, match=why) as caught:
        CredentialStore(environ, tmp_path).lookup("r.io", "x")
    assert "hunter2" not in str(caught.value)
    assert "docker-credential-bad" in str(caught.value)


def test_a_helper_that_is_missing(tmp_path):
    write(tmp_path / ".docker/config.json", credsStore="desktop")
    with pytest.raises(RegistryError, match="docker-credential-desktop"):
        CredentialStore({"PATH": "/nowhere"}, tmp_path).lookup("r.io", "x")


@pytest.mark.parametrize("text", ["{", "[]", "hunter2", '{"auths": {"r.io": {"auth": "hunter2"}}}'])
def test_broken_files_are_named_and_not_shown(tmp_path, text):
    path = tmp_path / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json") as caught:
        CredentialStore({}, tmp_path).lookup("r.io", "x")
    assert "hunter2" not in str(caught.value)
