"""The same project by its lock file: `uv lock` writes uv.lock, and the image installs just that."""

from imagebuilder import Image

_base = Image.from_debian_base("3.11", name="greet-locked")

dependencies = (
    _base.with_uv_project("pyproject.toml")
    .with_source_folder("./src", copy_contents_only=True)
    .with_entrypoint("python", "-c", "import greet; greet.main()")
)
installed = (
    _base.clone(name="greet-installed")
    .with_uv_project("pyproject.toml", project_install_mode="install_project")
    .with_entrypoint("greet")
)
