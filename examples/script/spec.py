"""An image for a script that says itself what it needs (PEP 723)."""

from imagebuilder import Image

report = (
    Image.from_uv_script("report.py", name="script-report")
    .with_source_file("report.py")
    .with_entrypoint("python", "report.py")
)
