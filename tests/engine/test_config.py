from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagebuilder.config import load
from imagebuilder.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str, name: str = "imagebuilder.toml") -> Path:
    (folder / name).write_text(text)
    return folder


def test_defaults_without_a_file(tmp_path: Path) -> None:
    config = load(tmp_path, {"HOME": str(tmp_path)})
    assert (config.registry, config.epoch, config.on_unknown, config.parallel) == (None, 1, "fail", 2)
    assert config.cache_dir.is_absolute()


def test_the_nearest_file_upwards_holds(tmp_path: Path) -> None:
    write(tmp_path, 'registry = "ghcr.io/far"')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load(inner, {}).registry == "ghcr.io/far"
    write(tmp_path / "a", '[tool.imagebuilder]\nregistry = "ghcr.io/near"', "pyproject.toml")
    config = load(inner, {})
    assert config.registry == "ghcr.io/near"
    assert config.source == tmp_path / "a" / "pyproject.toml"


def test_a_pyproject_without_our_table_is_passed_by(tmp_path: Path) -> None:
    write(tmp_path, 'registry = "ghcr.io/far"')
    inner = tmp_path / "project"
    inner.mkdir()
    write(inner, '[project]\nname = "x"', "pyproject.toml")
    assert load(inner, {}).registry == "ghcr.io/far"


def test_variables_beat_files_and_flags_beat_variables(tmp_path: Path) -> None:
    write(tmp_path, 'registry = "ghcr.io/file"\nparallel = 3')
    environ = {"IMAGEBUILDER_REGISTRY": "ghcr.io/variable", "IMAGEBUILDER_PARALLEL": "4"}
    assert load(tmp_path, environ).registry == "ghcr.io/variable"
    assert load(tmp_path, environ).parallel == 4
    assert load(tmp_path, environ, {"registry": "ghcr.io/flag"}).registry == "ghcr.io/flag"
    assert load(tmp_path, environ, {"registry": None}).registry == "ghcr.io/variable"


def test_secrets_of_files_and_flags_are_merged_by_key(tmp_path: Path) -> None:
    write(tmp_path, '[secrets]\nA = "env:A1"\nB = "env:B1"')
    assert load(tmp_path, {}, {"secrets": {"B": "file:/b"}}).secrets == {"A": "env:A1", "B": "file:/b"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('regsitry = "x"', "'regsitry' is not a setting"),
        ("registry = 3", "registry is 3, not a string"),
        ('epoch = "1"', "epoch is '1', not a whole number"),
        ("epoch = true", "epoch is True, not a whole number"),
        ("epoch = 99", "epoch 99 does not exist"),
        ("parallel = 0", "parallel is 0"),
        ('on_unknown = "maybe"', "on_unknown is 'maybe'"),
        ("cache_from = [1]", "cache_from is [1], not a list of strings"),
        ("[site]\nca = 'x'", "'ca' is not a setting"),
        ("[registries.host]\nplain = true", "'plain' is not a setting"),
        ("[images]\na = 1", "images.a is 1"),
        ("registry =", "not valid TOML"),
    ],
)
def test_a_setting_that_makes_no_sense_names_itself_and_its_file(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, {})
    assert words in str(raised.value)
    if "epoch 99" not in words and "parallel" not in words and "on_unknown" not in words:
        assert "imagebuilder.toml" in str(raised.value)


def test_a_variable_that_is_no_number_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="IMAGEBUILDER_PARALLEL is 'many'"):
        load(tmp_path, {"IMAGEBUILDER_PARALLEL": "many"})


@pytest.mark.parametrize(("value", "expected"), [("false", False), ("0", False), ("True", True), ("1", True)])
def test_bytecode_may_be_left_out(tmp_path: Path, value: str, expected: bool) -> None:
    assert load(tmp_path, {}).make_site().bytecode
    assert load(tmp_path, {"IMAGEBUILDER_BYTECODE": value}).make_site().bytecode is expected
    write(tmp_path, "bytecode = false")
    assert not load(tmp_path, {}).make_site().bytecode
    with pytest.raises(ConfigError, match="IMAGEBUILDER_BYTECODE is 'maybe', not true or false"):
        load(tmp_path, {"IMAGEBUILDER_BYTECODE": "maybe"})


def test_the_ca_bundle_is_relative_to_its_file_and_follows_ssl_cert_file(tmp_path: Path) -> None:
    assert load(tmp_path, {"SSL_CERT_FILE": "/etc/corp.pem"}).make_site().ca_bundle == "/etc/corp.pem"
    write(tmp_path, '[site]\nca_bundle = "corp.pem"')
    assert load(tmp_path, {"SSL_CERT_FILE": "/etc/corp.pem"}).make_site().ca_bundle == str(tmp_path / "corp.pem")
    assert load(tmp_path, {"IMAGEBUILDER_CA_BUNDLE": "/v.pem"}).make_site().ca_bundle == "/v.pem"


def test_the_site_takes_index_credentials_and_proxies_and_shows_neither(tmp_path: Path) -> None:
    write(tmp_path, '[site]\nindex_url = "https://me:hunter2@index.example.com/simple"\nnetwork = "host"')
    config = load(tmp_path, {"https_proxy": "http://proxy:3128"})
    site = config.make_site()
    assert site.index_url is not None
    assert site.index_url.url == "https://index.example.com/simple"
    assert site.proxies == (("HTTPS_PROXY", "http://proxy:3128"),)
    assert "hunter2" in site.script
    assert "hunter2" not in repr(config) + repr(site)


def test_a_shared_cache_is_a_repository_and_off_until_it_is_named(tmp_path: Path) -> None:
    assert load(tmp_path, {}).cache is None
    write(tmp_path, 'cache = "ghcr.io/team/cache"\ncache_size = "2GiB"')
    config = load(tmp_path, {})
    assert (str(config.cache), config.cache_write, config.cache_size) == ("ghcr.io/team/cache", False, 2 << 30)
    variables = {"IMAGEBUILDER_CACHE": "localhost:5000/c", "IMAGEBUILDER_CACHE_WRITE": "1"}
    config = load(tmp_path, variables)
    assert (str(config.cache), config.cache_write) == ("localhost:5000/c", True)
    assert load(tmp_path, {"IMAGEBUILDER_CACHE_SIZE": "5MB"}, {"cache_write": True}).cache_write


@pytest.mark.parametrize("text", ["cache", "team/cache", "ghcr.io/team/cache:tag", "ghcr.io/Team/cache", "https://x/y"])
def test_what_is_no_repository_for_a_shared_cache(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="cache is") as caught:
        load(tmp_path, {"IMAGEBUILDER_CACHE": text})
    assert caught.value.hint


def test_writing_needs_a_cache_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cache_write is set, and no cache is"):
        load(tmp_path, {}, {"cache_write": True})


def test_mirrors_may_stand_in_a_variable(tmp_path: Path) -> None:
    environ = {"IMAGEBUILDER_MIRRORS": "docker.io=localhost:5000 ghcr.io=mirror.corp"}
    with load(tmp_path, environ).make_client() as client:
        assert client.settings.host("docker.io").mirrors == ("localhost:5000",)
        assert client.settings.host("ghcr.io").mirrors == ("mirror.corp",)
    with pytest.raises(ConfigError, match="IMAGEBUILDER_MIRRORS has"):
        load(tmp_path, {"IMAGEBUILDER_MIRRORS": "docker.io"})


def test_registries_become_host_settings(tmp_path: Path) -> None:
    write(tmp_path, '[registries."docker.io"]\nmirrors = ["mirror.example.com"]\ndenied_means_absent = true')
    with load(tmp_path, {}).make_client() as client:
        host = client.settings.host("docker.io")
    assert host.mirrors == ("mirror.example.com",)
    assert host.denied_means_absent
