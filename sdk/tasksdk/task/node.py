"""Recorded calls: nodes of a graph, and the promises that link them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagebuilder.spec.value import Value
from tasksdk.context.current import Context
from tasksdk.errors import UserInputError
from tasksdk.literals import message, to_literal, to_value

if TYPE_CHECKING:
    from datetime import timedelta

    from flyteidl2.core.literals_pb2 import Literal

    from tasksdk.task.base import Task


class NodeMetadata(Value):
    """What a node says about running its task."""

    name: str
    timeout: timedelta | None = None
    retries: int = 0
    interruptible: bool | None = None


class Promise:
    """An output called `var`: with a literal where its task ran, else of a node that will give it."""

    def __init__(self, var: str, literal: bytes | None = None, *, node: Node | None = None, kind: Any = Any) -> None:
        self.var = var
        self.node = node
        self.literal = literal
        self._kind = kind

    @property
    def is_ready(self) -> bool:
        """Whether its value is there."""
        return self.literal is not None

    @property
    def val(self) -> Literal:
        """The value as a literal.

        Raises:
            UserInputError: its node has not run.
        """
        return message(self._ready())

    @property
    def value(self) -> Any:
        """The value as Python's."""
        return to_value(self._ready(), self._kind, f"promise {self.var}")

    def _ready(self) -> bytes:
        if self.literal is None:
            raise UserInputError(f"promise {self.var} has no value: its task was recorded, not run")
        return self.literal

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Promise):
            return (self.var, self.literal, self.node) == (other.var, other.literal, other.node)
        return self.is_ready and bool(self.value == other)

    def __hash__(self) -> int:
        return hash((self.var, self.literal))

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        shown = repr(self.value) if self.is_ready else f"of {self.node!r}"
        return f"Promise({self.var!r}, {shown})"


class VoidPromise:
    """What a call without outputs gives: it can be waited for, and not be passed on."""

    def __init__(self, task_name: str, *, node: Node | None = None) -> None:
        self.task_name = task_name
        self.node = node

    def __repr__(self) -> str:
        return f"VoidPromise({self.task_name!r})"


class Node:
    """One recorded call: its task, and each input as a literal or as the promise of another node."""

    def __init__(self, name: str, task: Task, metadata: NodeMetadata, bindings: dict[str, bytes | Promise]) -> None:
        self.id = name
        self.task = task
        self.metadata = metadata
        self.bindings = bindings

    @property
    def upstream(self) -> list[Node]:
        """The nodes that it waits for, each once."""
        nodes = [
            bound.node for bound in self.bindings.values() if isinstance(bound, Promise) and bound.node is not None
        ]
        return list(dict.fromkeys(nodes))

    def __repr__(self) -> str:
        return f"Node({self.id!r}, task={self.task.name!r})"


class Graph:
    """Records the calls that are made while it is entered, instead of making them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._contexts: list[Context] = []

    def add(self, task: Task, metadata: NodeMetadata, bindings: dict[str, bytes | Promise]) -> Node:
        """Record a call."""
        node = Node(f"n{len(self.nodes)}", task, metadata, bindings)
        self.nodes.append(node)
        return node

    def __enter__(self) -> Graph:  # noqa: PYI034 - typing has no Self in Python 3.10
        self._contexts.append(Context.current().new(graph=self))
        self._contexts[-1].__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._contexts.pop().__exit__(*error)


def compile_call(task: Task, context: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record a call in the context's graph; its outputs as promises, a `VoidPromise` where there are none."""
    graph = context.data.graph
    if not isinstance(graph, Graph):
        raise UserInputError(f"task {task.name} is not called in a graph", hint="write: with Graph() as graph: ...")
    interface = task.native_interface
    bindings: dict[str, bytes | Promise] = {}
    for name, given in interface.bind(args, kwargs, task.name).items():
        where = f"{task.name}: input {name}"
        if isinstance(given, VoidPromise):
            raise UserInputError(f"{where}: {given.task_name} has no outputs to pass on")
        bindings[name] = given if isinstance(given, Promise) else to_literal(given, interface.inputs[name], where)
    node = graph.add(task, task.construct_node_metadata(), bindings)
    return promised(task, dict.fromkeys(interface.outputs), node)


def promised(task: Task, literals: dict[str, bytes] | dict[str, None], node: Node | None = None) -> Any:
    """Outputs as promises: one, a tuple, or a `VoidPromise`."""
    kinds = task.native_interface.outputs
    promises = tuple(Promise(name, literals[name], node=node, kind=kind) for name, kind in kinds.items())
    if not promises:
        return VoidPromise(task.name, node=node)
    return promises[0] if len(promises) == 1 else promises
