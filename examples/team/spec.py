"""Several images that share a team's recipe; one of them needs a secret while it is built."""

from imagebuilder import Image, Secret


def with_team_tools(image: Image, *, debug: bool = False) -> Image:
    """What every image of the team has."""
    image = image.with_apt_packages("curl").with_env_vars({"PYTHONUNBUFFERED": "1"})
    return image.with_pip_packages("debugpy") if debug else image


# A name that starts with _ is no image of its own: it is only the start of others.
_base = Image.from_debian_base("3.11", registry="localhost:5000").pipe(with_team_tools)

train = (
    _base.clone(name="train")
    .with_pip_packages("numpy")
    .with_entrypoint("python", "-c", "import numpy; print(numpy.pi)")
)
serve = (
    _base.clone(name="serve")
    .with_pip_packages("starlette", "uvicorn")
    .with_user("serve", uid=1001)
    .with_entrypoint("python", "-c", "import getpass, starlette; print(getpass.getuser(), starlette.__version__)")
)
report = (
    _base.clone(name="report")
    .with_commands(['printf %s "$REPORT_TOKEN" | wc -c > /app/length'], secret_mounts=[Secret("REPORT_TOKEN")])
    .with_entrypoint("cat", "/app/length")
)
