"""`python -m tasksdk.executor` is the same as `tasksdk-execute`."""

import sys

from tasksdk.executor.main import main

if __name__ == "__main__":
    sys.exit(main())
