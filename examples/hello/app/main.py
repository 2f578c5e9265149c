import getpass
import platform
import sys

import humanize
from rich.console import Console
from rich.table import Table

table = Table("what", "value", title="hello from the image")
table.add_row("python", platform.python_version())
table.add_row("prefix", sys.prefix)
table.add_row("user", getpass.getuser())
table.add_row("a million seconds", humanize.naturaldelta(1_000_000))
Console(width=60).print(table)
