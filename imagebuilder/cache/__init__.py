"""What is kept on this disk between builds: where each kind lies, who uses it now, and how it stays below a size."""
