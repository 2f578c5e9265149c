"""A project by its requirements file; its code is copied beside them."""

from imagebuilder import Image

greet = (
    Image.from_debian_base("3.11", name="greet")
    .with_requirements("requirements.txt")
    .with_source_folder("./src", copy_contents_only=True)
    .with_entrypoint("python", "-c", "import greet; greet.main()")
)
