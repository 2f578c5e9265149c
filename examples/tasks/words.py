"""Counts the words of several texts, one call of a task for each of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tasksdk
import tasksdk.report
from tasksdk.io import File

image = tasksdk.Image.from_debian_base(name="words", registry="localhost:5000")
env = tasksdk.TaskEnvironment("words", image=image, resources=tasksdk.Resources(cpu=1, memory="256Mi"))


@dataclass
class Count:
    """How often the commonest word is there."""

    name: str
    word: str
    times: int


@env.task
def texts(subjects: list[str]) -> list[File]:
    """Write a text about each subject."""
    found = []
    for subject in subjects:
        place = Path(f"{subject}.txt")
        place.write_text(f"{subject} and {subject} and {subject}\n", encoding="utf-8")
        found.append(File.from_local_sync(place))
        place.unlink()
    return found


@env.task(cache="auto", retries=2)
def count(text: File) -> Count:
    """Count the words of one text."""
    with text.open_sync("r") as opened:
        words = opened.read().split()
    word = max(set(words), key=words.count)
    return Count(text.name, word, words.count(word))


@env.task(report=True)
def main(subjects: list[str]) -> list[Count]:
    """Count the words of all texts at once, and write a page about them."""
    found = list(tasksdk.map(count, texts(subjects), return_exceptions=False))
    for each in found:
        tasksdk.report.log(f"<p>{each.word}: {each.times} times</p>")
    return found


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else None
    runner = tasksdk.with_runcontext(mode="remote" if where else "local", engine=where)
    started = runner.run(main, subjects=["stars", "rivers"])
    for counted in started.outputs()[0]:
        print(f"{counted.word} is {counted.times} times in {counted.name}")
    print(f"the page is at {started.action.report}")
