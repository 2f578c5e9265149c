"""Sorts lines by a container without the SDK: its input is a file, and so is what it writes."""

from __future__ import annotations

import tasksdk
from tasksdk.extras import ContainerTask

sort = ContainerTask(
    "sort",
    image=tasksdk.Image.from_debian_base(name="sort", registry="localhost:5000", install_sdk=False),
    command=["sh", "-c", "sort /var/inputs/lines > /var/outputs/ordered"],
    inputs={"lines": str},
    outputs={"ordered": str},
)
env = tasksdk.TaskEnvironment("lines")


@env.task
async def main(words: list[str]) -> list[str]:
    """Sort words, one a line."""
    ordered = await sort(lines="\n".join(words))
    return ordered.splitlines()


if __name__ == "__main__":
    print(tasksdk.run(main, words=["river", "star", "moon"]).outputs()[0])
