"""The task SDK: write tasks as functions, run them here, in containers or on Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasksdk.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from imagebuilder import Image, Secret
    from tasksdk.code_bundle import CodeBundle
    from tasksdk.context.checkpoint import Checkpoint
    from tasksdk.context.current import ActionID, Context, ContextData, GroupData, TaskContext, ctx
    from tasksdk.context.custom import custom_context, get_custom_context
    from tasksdk.context.group import group
    from tasksdk.context.logger import logger
    from tasksdk.context.report import Deck, Report
    from tasksdk.errors import IgnoreOutputs, NonRecoverableError, TaskError, TaskSdkError
    from tasksdk.interface import NativeInterface, kwtypes
    from tasksdk.running.action import Action
    from tasksdk.running.initialize import current_domain, current_project, init, init_from_config, init_in_cluster
    from tasksdk.running.mapping import map  # noqa: A004 - the API's word
    from tasksdk.running.plugins import TaskPlugin, register_plugin
    from tasksdk.running.run import Run
    from tasksdk.running.runner import run, with_runcontext
    from tasksdk.task.base import Task, TaskTemplate
    from tasksdk.task.cards import DATA_CARD, DYNAMIC_PARTITIONS, MODEL_CARD, UNSET_CARD, T
    from tasksdk.task.code_version import FunctionBodyPolicy
    from tasksdk.task.container import ContainerTask
    from tasksdk.task.customized_container import PythonCustomizedContainerTask, ShimTaskExecutor
    from tasksdk.task.deployed import LazyEntity
    from tasksdk.task.deployment import deploy
    from tasksdk.task.environment import Environment, TaskEnvironment
    from tasksdk.task.function import AsyncFunctionTaskTemplate, FunctionTask
    from tasksdk.task.metadata import TaskMetadata
    from tasksdk.task.node import Graph, Node, Promise, VoidPromise
    from tasksdk.task.python_task import DeckField, PythonTask
    from tasksdk.task.resolver import TaskResolverMixin, default_task_resolver
    from tasksdk.task.serialization import SerializationContext, SerializationSettings
    from tasksdk.task.template_resolver import default_task_template_resolver
    from tasksdk.task.trace import trace
    from tasksdk.types.dataframe import DataFrame
    from tasksdk.types.engine import TypeEngine
    from tasksdk.types.file import File
    from tasksdk.types.folder import Dir
    from tasksdk.types.raw_data import RawData
    from tasksdk.types.transformer import TypeTransformer
    from tasksdk.values.cache import Cache, CachePolicy
    from tasksdk.values.documentation import Documentation
    from tasksdk.values.pod import PodTemplate
    from tasksdk.values.resources import Device, Resources
    from tasksdk.values.retry import Backoff, RetryStrategy
    from tasksdk.values.reuse import ReusePolicy
    from tasksdk.values.timeout import Timeout


# Importing the SDK loads nothing; each name is loaded from its module when it is first used.
_HOMES = {
    "tasksdk.task.cards": ("DATA_CARD", "DYNAMIC_PARTITIONS", "MODEL_CARD", "UNSET_CARD", "T"),
    "tasksdk.task.deployment": ("deploy",),
    "tasksdk.task.deployed": ("LazyEntity",),
    "tasksdk.task.trace": ("trace",),
    "tasksdk.task.template_resolver": ("default_task_template_resolver",),
    "tasksdk.task.customized_container": ("PythonCustomizedContainerTask", "ShimTaskExecutor"),
    "tasksdk.task.container": ("ContainerTask",),
    "tasksdk.task.node": ("Graph", "Node", "Promise", "VoidPromise"),
    "imagebuilder": ("Image", "Secret"),
    "tasksdk.code_bundle": ("CodeBundle",),
    "tasksdk.context.checkpoint": ("Checkpoint",),
    "tasksdk.context.current": ("ActionID", "Context", "ContextData", "GroupData", "TaskContext", "ctx"),
    "tasksdk.context.group": ("group",),
    "tasksdk.context.report": ("Deck", "Report"),
    "tasksdk.task.environment": ("Environment", "TaskEnvironment"),
    "tasksdk.errors": ("IgnoreOutputs", "NonRecoverableError", "TaskError", "TaskSdkError"),
    "tasksdk.interface": ("NativeInterface", "kwtypes"),
    "tasksdk.running.action": ("Action",),
    "tasksdk.running.plugins": ("TaskPlugin", "register_plugin"),
    "tasksdk.running.run": ("Run",),
    "tasksdk.running.runner": ("run", "with_runcontext"),
    "tasksdk.task.base": ("Task", "TaskTemplate"),
    "tasksdk.task.code_version": ("FunctionBodyPolicy",),
    "tasksdk.task.function": ("AsyncFunctionTaskTemplate", "FunctionTask"),
    "tasksdk.task.python_task": ("DeckField", "PythonTask"),
    "tasksdk.task.resolver": ("TaskResolverMixin", "default_task_resolver"),
    "tasksdk.task.serialization": ("SerializationContext", "SerializationSettings"),
    "tasksdk.types.dataframe": ("DataFrame",),
    "tasksdk.types.engine": ("TypeEngine",),
    "tasksdk.types.file": ("File",),
    "tasksdk.types.folder": ("Dir",),
    "tasksdk.types.raw_data": ("RawData",),
    "tasksdk.types.transformer": ("TypeTransformer",),
    "tasksdk.values.cache": ("Cache", "CachePolicy"),
    "tasksdk.values.documentation": ("Documentation",),
    "tasksdk.task.metadata": ("TaskMetadata",),
    "tasksdk.values.pod": ("PodTemplate",),
    "tasksdk.values.resources": ("Device", "Resources"),
    "tasksdk.values.retry": ("Backoff", "RetryStrategy"),
    "tasksdk.values.reuse": ("ReusePolicy",),
    "tasksdk.values.timeout": ("Timeout",),
    "tasksdk.running.initialize": (
        "current_domain",
        "current_project",
        "init",
        "init_from_config",
        "init_in_cluster",
    ),
    "tasksdk.context.custom": ("custom_context", "get_custom_context"),
    "tasksdk.context.logger": ("logger",),
    "tasksdk.running.mapping": ("map",),
}
_MODULES = {"errors", "extras", "git", "io", "remote", "report", "types"}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DATA_CARD",
    "DYNAMIC_PARTITIONS",
    "MODEL_CARD",
    "UNSET_CARD",
    "Action",
    "ActionID",
    "AsyncFunctionTaskTemplate",
    "Backoff",
    "Cache",
    "CachePolicy",
    "Checkpoint",
    "CodeBundle",
    "ContainerTask",
    "Context",
    "ContextData",
    "DataFrame",
    "Deck",
    "DeckField",
    "Device",
    "Dir",
    "Documentation",
    "Environment",
    "File",
    "FunctionBodyPolicy",
    "FunctionTask",
    "Graph",
    "GroupData",
    "IgnoreOutputs",
    "Image",
    "LazyEntity",
    "NativeInterface",
    "Node",
    "NonRecoverableError",
    "PodTemplate",
    "Promise",
    "PythonCustomizedContainerTask",
    "PythonTask",
    "RawData",
    "Report",
    "Resources",
    "RetryStrategy",
    "ReusePolicy",
    "Run",
    "Secret",
    "SerializationContext",
    "SerializationSettings",
    "ShimTaskExecutor",
    "T",
    "Task",
    "TaskContext",
    "TaskEnvironment",
    "TaskError",
    "TaskMetadata",
    "TaskPlugin",
    "TaskResolverMixin",
    "TaskSdkError",
    "TaskTemplate",
    "Timeout",
    "TypeEngine",
    "TypeTransformer",
    "VoidPromise",
    "ctx",
    "current_domain",
    "current_project",
    "custom_context",
    "default_task_resolver",
    "default_task_template_resolver",
    "deploy",
    "get_custom_context",
    "group",
    "init",
    "init_from_config",
    "init_in_cluster",
    "kwtypes",
    "logger",
    "map",
    "register_plugin",
    "run",
    "trace",
    "with_runcontext",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"tasksdk.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tasksdk' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
