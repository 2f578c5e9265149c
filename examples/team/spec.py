"""Several images that share a team's recipe."""

from imagebuilder import Image, Secret


def with_team_tools(image: Image, *, debug: bool = False) -> Image:
    """What every image of the team has."""
    image = image.with_apt_packages("git", "curl").with_env_vars({"PYTHONUNBUFFERED": "1"})
    return image.with_pip_packages("debugpy") if debug else image


base = Image.from_debian_base("3.11", registry="localhost:5000").pipe(with_team_tools)

train = base.clone(name="train").with_pip_packages("numpy", "scikit-learn")
serve = base.clone(name="serve").with_pip_packages("starlette", "uvicorn").with_user("serve", uid=1001)
private = base.clone(name="private").with_pip_packages(
    "team-models",
    index_url="https://packages.example.com/simple",
    secret_mounts=[Secret("PACKAGES_TOKEN")],
)
