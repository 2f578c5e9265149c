"""The smallest useful image: two packages and a folder of code."""

from imagebuilder import Image

hello = (
    Image.from_debian_base("3.11", name="hello")
    .with_pip_packages("rich", "humanize")
    .with_source_folder("./app", "/app")
    .with_entrypoint("python", "main.py")
)
