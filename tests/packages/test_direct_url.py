from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagebuilder.packages import LockedFile, LockedPackage, noted
from imagebuilder.packages.direct_url import direct_url
from imagebuilder.packages.pylock import parse, render

if TYPE_CHECKING:
    from collections.abc import Mapping

SHA = "0" * 64
URL = "https://example.com/files/demo-1.0-py3-none-any.whl"
WHEEL = LockedFile("demo-1.0-py3-none-any.whl", SHA, url=URL)
ASKED = {"subdirectory": "sub", "origin": "git+https://example.com/demo@c0ffee", "revision": "main"}


@pytest.mark.parametrize(
    ("source", "given", "said"),
    [
        ("index", {"wheels": (WHEEL,)}, ""),
        ("archive", {"wheels": (WHEEL,)}, f'{{"url":"{URL}","archive_info":{{}}}}'),
        (
            "archive",
            {"sdist": LockedFile("demo-1.0.tar.gz", SHA, place="local-1/my demo-1.0.tar.gz"), "subdirectory": "sub"},
            (
                '{"url":"file:///run/imagebuilder/files/local-1/my%20demo-1.0.tar.gz","archive_info":{},'
                '"subdirectory":"sub"}'
            ),
        ),
        ("directory", {"place": "libs/demo"}, '{"url":"file:///run/imagebuilder/files/libs/demo","dir_info":{}}'),
        ("directory", {"place": ""}, '{"url":"file:///run/imagebuilder/files","dir_info":{}}'),
        (
            "vcs",
            {"origin": "git+ssh://git@example.com/demo.git@c0ffee"},
            '{"url":"ssh://git@example.com/demo.git","vcs_info":{"vcs":"git","commit_id":"c0ffee"}}',
        ),
        (
            "vcs",
            ASKED,
            (
                '{"url":"https://example.com/demo","vcs_info":{"vcs":"git","commit_id":"c0ffee",'
                '"requested_revision":"main"},"subdirectory":"sub"}'
            ),
        ),
    ],
)
def test_what_is_noted(source: str, given: Mapping[str, object], said: str) -> None:
    package = LockedPackage("demo", "1.0", source, **given)  # type: ignore[arg-type]
    assert direct_url(package) == said
    assert noted(WHEEL, package).direct_url == said
    assert (noted(WHEEL, package).key == SHA) == (not said)
    assert direct_url(parse(render([package]), "a lock").packages[0]) == said
