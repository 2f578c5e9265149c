"""Random images, made by the public calls; a file of its own so that three folders of tests can load it."""

from __future__ import annotations

from hypothesis import strategies as st

from imagebuilder import Image, Secret

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
LINE = TEXT.map(lambda text: text.replace("\n", "_").replace("\r", "_"))
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}", fullmatch=True)
PLACE = st.sampled_from(["/app", "/app/", "/srv/x y", "lib", "lib/", ".", "/", "/app/lib", "/etc"])
FILE = st.sampled_from(["a.txt", "b.txt", "deep/a.txt", "../up", "/abs/file", "sp ace", "a'b\"c"])
SECRET = st.builds(
    Secret,
    st.sampled_from(["TOKEN", "token", "api-key"]),
    group=st.none() | st.sampled_from(["g", "other group"]),
    mount=st.none() | st.sampled_from(["/run/x", "/run/a b"]),
    as_env_var=st.none() | st.sampled_from(["TOKEN", "KEY"]),
)


def _agree(secrets: list[Secret]) -> bool:
    variables = [secret.variable for secret in secrets if secret.variable]
    mounts = [secret.mount for secret in secrets if secret.mount]
    return len(set(variables)) == len(variables) and len(set(mounts)) == len(mounts)


SECRETS = st.lists(SECRET, max_size=2, unique=True).filter(_agree)
INDEX = st.sampled_from(
    ["https://packages.example.com/simple", "https://h.example.com:8443/x/simple", "file:///srv/wheels"]
)
PACKAGES = st.lists(
    st.sampled_from(["git", "numpy", "scipy==1.10.0", "a", "b", "ab", 'tomli; python_version < "3.11"', "x[y]>=1,<2"]),
    min_size=1,
    max_size=3,
)
APT = st.lists(st.sampled_from(["git", "curl", "curl=7.88.1-10", "g++", "libc6:amd64"]), min_size=1, max_size=3)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "index_url": INDEX,
        "extra_index_urls": st.lists(INDEX, max_size=2),
        "pre": st.booleans(),
        "extra_args": st.sampled_from(["", "--no-deps", "--config-setting 'a b'", "True"]),
        "secret_mounts": SECRETS,
    },
)
FILE_OPTIONS = OPTIONS.map(lambda options: {key: value for key, value in options.items() if key != "pre"})
PLATFORMS = st.sampled_from(["linux/amd64", "linux/arm64", "amd64,arm64", "linux/arm/v7"])
PYTHON = st.sampled_from(["3.11", (3, 12), "3.13"])
MODES = st.sampled_from(["dependencies_only", "install_project"])


def _call(name: str, *args: st.SearchStrategy[object], **kwargs: st.SearchStrategy[object]):
    return st.tuples(st.just(name), st.tuples(*args), st.fixed_dictionaries(kwargs))


def _with_options(name: str, options: st.SearchStrategy[dict], *args: st.SearchStrategy[object]):
    return st.tuples(st.just(name), st.tuples(*args), options)


CALL = st.one_of(
    _with_options("with_pip_packages", OPTIONS, PACKAGES),
    _with_options("with_requirements", OPTIONS, FILE),
    st.tuples(
        st.just("with_uv_project"),
        st.tuples(FILE, st.none() | FILE),
        st.tuples(OPTIONS, MODES).map(lambda both: {**both[0], "project_install_mode": both[1]}),
    ),
    _with_options("with_pylock", FILE_OPTIONS, FILE),
    _call("with_poetry_project", FILE, st.none() | FILE, project_install_mode=MODES),
    _with_options("with_wheels", FILE_OPTIONS, FILE),
    _call("with_apt_packages", APT, secret_mounts=SECRETS),
    _call(
        "with_commands",
        st.lists(TEXT.filter(str.strip) | st.sampled_from(["git", "EOF"]), min_size=1, max_size=2),
        secret_mounts=SECRETS,
    ),
    _call("with_env_vars", st.dictionaries(NAME, LINE, max_size=2)),
    _call("with_labels", st.dictionaries(NAME, LINE, max_size=2)),
    _call(
        "with_source_folder",
        st.sampled_from(["code", "./other", "/abs/code", "../up", "."]),
        PLACE,
        ignore=st.lists(st.sampled_from(["*.csv", "!keep", "a b/"]), max_size=2),
    ),
    _call("with_source_file", FILE, PLACE),
    _call("with_workdir", PLACE),
    _call("with_user", st.sampled_from(["worker", "other"]), uid=st.none() | st.integers(1, 5000)),
    _call("with_entrypoint", st.lists(TEXT.filter(str.strip), max_size=3)),
    _call("with_dockerignore", FILE),
)
BASES = st.one_of(
    _call("from_debian_base", PYTHON, platform=PLATFORMS, install_sdk=st.sampled_from([False, True, "0.0.9"])),
    _call(
        "from_base",
        st.sampled_from(["python:3.11", "docker.io/library/python:3.11", "ghcr.io/a/b", "localhost:5000/x/y:1"]),
        platform=PLATFORMS,
    ),
    _with_options("from_uv_script", OPTIONS, FILE),
    _call("from_ref_name", st.sampled_from(["default", "other name"])),
)
PUBLICATION = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["my-app", "team/app"]),
        "registry": st.sampled_from(["ghcr.io/team", "localhost:5000", "my-registry.com:5000/a/b"]),
        "registry_secret": SECRET,
        "platform": PLATFORMS,
    },
)
CALLS = st.lists(CALL, max_size=4)


def make(base: tuple, publication: dict, calls: list[tuple]) -> Image:
    """The image that calls make, as (name, arguments, keywords)."""
    name, args, kwargs = base
    image: Image = getattr(Image, name)(*args, **kwargs).clone(**publication)
    for name, args, kwargs in calls:
        image = getattr(image, name)(*args, **kwargs)
    return image


IMAGES = st.builds(make, BASES, PUBLICATION, CALLS)
