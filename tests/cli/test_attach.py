from __future__ import annotations

import os

import pytest

from imagebuilder.registry import MemoryRegistry


def test_a_file_is_attached(project, registry, push_image, monkeypatch):
    monkeypatch.setattr("imagebuilder.registry.referrers._SETTLE", ((0.01, 0.0), (0.01, 0.0)))
    digest = push_image(f"{registry.host}/team/app:1")
    project.write("sbom.json", '{"spdxVersion": "SPDX-2.3"}')
    ended = project.run(
        "attach", f"{registry.host}/team/app:1", "sbom.json", "--artifact-type", "application/spdx+json", "--json"
    )
    assert ended.code == 0
    document = ended.json
    assert document["subject"] == digest
    assert document["fallback_tag"] == digest.replace(":", "-")
    assert document["uri"] == f"{registry.host}/team/app@{document['digest']}"
    assert project.run("check", document["uri"]).code == 0
    manifest = registry.contents.repositories["team/app"].manifests[document["digest"]][1]
    assert b'"org.opencontainers.image.title":"sbom.json"' in manifest
    assert b'"mediaType":"application/json"' in manifest


def test_where_there_is_a_referrers_api(project, push_image):
    with MemoryRegistry(referrers=True) as registry:
        push_image(f"{registry.host}/team/app:1")
        project.write("notes", "hello")
        ended = project.run(
            "attach", f"{registry.host}/team/app:1", "notes", "--artifact-type", "a/b", "--annotation", "by=ann"
        )
        assert (ended.code, "referrers API" in ended.err) == (0, True)
        assert list(registry.contents.repositories["team/app"].tags) == ["1"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["{ref}", "none.txt", "--artifact-type", "a/b"], 2, "none.txt cannot be read"),
        (["{ref}", ".", "--artifact-type", "a/b"], 2, "cannot be read"),
        (["{ref}", "pipe", "--artifact-type", "a/b"], 2, "pipe cannot be read: it is no regular file"),
        (["{ref}", "notes"], 2, "--artifact-type"),
        (["{ref}", "notes", "--artifact-type", "sbom"], 2, "no media type"),
        (["{ref}", "notes", "--artifact-type", "a/b", "--annotation", "x"], 2, "KEY=VALUE"),
        (["{ref}2", "notes", "--artifact-type", "a/b"], 1, "does not exist"),
    ],
)
def test_what_cannot_be_attached(project, registry, push_image, args, code, words):
    ref = f"{registry.host}/team/app:1"
    push_image(ref)
    project.write("notes", "hello")
    os.mkfifo(project.folder / "pipe")
    ended = project.run("attach", *(arg.format(ref=ref) for arg in args))
    assert (ended.code, words in ended.err) == (code, True)
