"""The command line: `imagebuild`."""
