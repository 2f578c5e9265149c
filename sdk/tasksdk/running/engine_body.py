"""Runs bodies on an engine: inputs out, an attempt, outputs or an error back."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from imagebuilder.spec.redact import Redactor
from tasksdk.configuration import configuration
from tasksdk.engines.attempt import AttemptSpec, Exit, ExitReason, Reuse
from tasksdk.errors import TaskAbortedError, TaskDefinitionError
from tasksdk.running.children import Children
from tasksdk.running.container_files import files_of
from tasksdk.running.container_hooks import hooked, run_hooked
from tasksdk.running.names import attempt_name
from tasksdk.running.notice import say_once
from tasksdk.running.outcome import outcome_of
from tasksdk.running.plugins import plugin_for, run_by_plugin
from tasksdk.running.secret_values import secret_values
from tasksdk.script import script_name
from tasksdk.task.container import ContainerTask
from tasksdk.task.serialization import EXECUTOR, SerializationContext
from tasksdk.task.template_resolver import TEMPLATE_PATH
from tasksdk.task.template_settings import container_of
from tasksdk.task.told import TOLD, variables_of
from tasksdk.types import storage
from tasksdk.wire import write_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasksdk.code_bundle import CodeBundle
    from tasksdk.context.current import TaskContext
    from tasksdk.engines.port import Engine
    from tasksdk.literals import Literals
    from tasksdk.running.images import Images
    from tasksdk.running.run_state import RunState
    from tasksdk.task.base import Task


class EngineBody:
    """Submits each attempt, follows its logs, and reads what it left in its folder."""

    waits = True

    def __init__(
        self, engine: Engine, state: RunState, images: Images, root: str, above: EngineBody | None = None
    ) -> None:
        self._engine = engine
        self._state = state
        self._images = images
        self._root = root
        self._above = above
        self._aborting: str | None = None

    @property
    def engine(self) -> Engine:
        """Where the attempts run."""
        return self._engine

    @property
    def aborting(self) -> str | None:
        """Why nothing more is begun, and what runs is ended; None as long as that is not so."""
        return self._aborting or (None if self._above is None else self._above.aborting)

    def abort(self, why: str) -> None:
        """Begin nothing more; whoever asks for attempts cancels those that run."""
        self._aborting = why

    def below(self) -> EngineBody:
        """The same for what one attempt calls, to be aborted alone."""
        return EngineBody(self._engine, self._state, self._images, self._root, self)

    def after_fork(self, engine: Engine) -> None:
        """Go on in a child of the process, with an engine of its own."""
        self._engine = engine
        self._images.after_fork()

    async def run(self, task: Task, context: TaskContext, literals: Literals) -> Literals | None:
        """Run one attempt on the engine."""
        if self.aborting is not None:
            raise self._aborted(task.name)
        plugin = plugin_for(task.task_type)
        if plugin is not None:
            return await run_by_plugin(plugin, task, context, literals)
        if hooked(task):
            return await run_hooked(task, context, literals, self._run)
        return await self._run(task, context, literals)

    async def _run(self, task: Task, context: TaskContext, literals: Literals) -> Literals | None:
        assert context.input_path is not None
        assert context.output_path is not None
        await asyncio.to_thread(storage.write, context.input_path, write_map(literals))
        spec = await self._spec(task, context)
        if not isinstance(task, ContainerTask):
            children = Children(self._state, self.below(), context, spec.name, _mask(spec))
            ended = await self._attempt(spec, context, children)
            return await asyncio.to_thread(outcome_of, task, context, ended, _mask(spec))
        files = await asyncio.to_thread(files_of, task, context, self._engine, self._images)
        try:
            spec = await asyncio.to_thread(files.prepare, spec, literals)
            ended = await self._attempt(spec, context)
            return await asyncio.to_thread(outcome_of, task, context, ended, _mask(spec), files)
        finally:
            await asyncio.to_thread(files.remove)

    async def _attempt(self, spec: AttemptSpec, context: TaskContext, children: Children | None = None) -> Exit:
        """Follow the attempt to its end, and run what it calls meanwhile."""
        if children is not None:
            await children.look_before()
        joined = await self._engine.submit(spec)
        if children is not None:
            children.begin(joined=joined)
        logs = asyncio.ensure_future(self._keep_logs(spec.name, f"{context.output_path}/log.txt", _mask(spec)))
        try:
            return await self._end(spec.name)
        except asyncio.CancelledError:
            await asyncio.shield(self._engine.abort(spec.name, self.aborting or "the client was interrupted"))
            if self.aborting is not None:
                raise self._aborted(spec.task) from None
            raise
        finally:
            why = self.aborting or f"its parent {spec.task} has ended"
            ends = [] if children is None else [children.end(why)]
            await asyncio.gather(asyncio.wait({logs}, timeout=10), *ends)
            logs.cancel()

    def _aborted(self, task: str) -> TaskAbortedError:
        return TaskAbortedError(f"task {task} was aborted: {self.aborting}", code="Aborted", recoverable=False)

    async def wait(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)

    async def _spec(self, task: Task, context: TaskContext) -> AttemptSpec:
        assert context.input_path is not None
        assert context.output_path is not None
        state, action = self._state, context.action
        executor: tuple[str, ...] = (EXECUTOR,)
        image, bundle, paths = None, None, {}
        if isinstance(task, ContainerTask) and not self._engine.runs_images:
            text = f"task {task.name} is a container, and engine {self._engine.name} runs none"
            raise TaskDefinitionError(text, hint='write engine="docker"')
        if isinstance(task, ContainerTask):
            image = await self._reference(task)
        elif self._engine.runs_images:
            image = await self._reference(task)
            bundle = await asyncio.to_thread(self._images.bundle, self._root, f"{state.folder}/code")
        else:
            from tasksdk.engines.process import python_variables

            executor = (sys.executable, "-m", "tasksdk.executor")
            paths = python_variables()
        sctx = SerializationContext(
            version=await asyncio.to_thread(lambda: context.version),
            images=state.images,
            code_bundle=bundle,
            root_dir=self._root,
            **configuration().project.named,
            input_path=context.input_path,
            output_path=context.output_path,
            raw_data_path=context.raw_data,
            executor=executor,
        )
        template = task.to_template(sctx)
        checkpoint = context.checkpoint
        container = container_of(template)
        argv = [*container.command, *container.args]
        if not argv and not isinstance(task, ContainerTask):
            raise TaskDefinitionError(
                f"task {task.name} has no container, and no plugin runs tasks of type {task.task_type!r}",
                hint=f'write register_plugin("{task.task_type}", ...), or run it here: mode="local"',
            )
        if TEMPLATE_PATH in argv:
            path = f"{state.folder}/{action.name}/task.pb"
            await asyncio.to_thread(storage.write, path, template.SerializeToString(deterministic=True))
            argv = [path if arg == TEMPLATE_PATH else arg for arg in argv]
        if checkpoint is not None and argv[: len(executor)] == list(executor):
            previous = [] if checkpoint.previous is None else ["--prev-checkpoint", checkpoint.previous]
            argv[len(executor) : len(executor)] = ["--checkpoint-path", checkpoint.path, *previous]
        return AttemptSpec(
            name=attempt_name(state.name, action.name, action.attempt),
            run=state.name,
            action=action.name,
            attempt=action.attempt,
            task=task.name,
            argv=tuple(argv),
            image=image,
            env={**paths, **task.env_vars, **variables_of(task, context, script_name(self._root))},
            secrets=secret_values(task.secrets, f"task {task.name}"),
            resources=task.resources,
            max_runtime=task.timeout.runtime_seconds,
            max_queued=task.timeout.queued_seconds,
            # What lies at a URL is reached over the network.
            folders=tuple(
                folder for folder in dict.fromkeys((state.folder, state.raw_data)) if storage.local_path(folder)
            ),
            interruptible=task.interruptible,
            queue=task.queue,
            pod_template=task.pod_template,
            reuse=self._reuse(task, executor, argv, bundle),
            labels=_labels(task),
            template=template.SerializeToString(deterministic=True),
        )

    async def _reference(self, task: Task) -> str:
        """The reference of the task's image, which every later attempt of the run is told."""
        identifier, reference = await asyncio.to_thread(self._images.named, task.image)
        if identifier is not None:
            self._state.images[identifier] = reference
        return reference

    def _reuse(self, task: Task, executor: tuple[str, ...], argv: list[str], bundle: CodeBundle | None) -> Reuse | None:
        if task.reusable is None:
            return None
        if tuple(argv[: len(executor)]) != executor:
            say_once(f"task {task.name} is a command of its own: it starts anew for each call, reusable or not")
            return None
        if not self._engine.keeps_workers:
            say_once(f"engine {self._engine.name} keeps no live workers: each call of a reusable task starts anew")
            return None
        # A worker outlives a run: it sees the folder that all of them are in.
        above = self._state.folder.rstrip("/").rpartition("/")[0]
        return Reuse(
            task.reusable,
            executor,
            environment=task.name.rpartition(".")[0] or task.name,
            code="" if bundle is None else bundle.digest,
            own=TOLD,
            folders=(above,),
        )

    async def _end(self, name: str) -> Exit:
        async for event in self._engine.watch(name):
            if event.exit is not None:
                return event.exit
        return Exit(ExitReason.LOST, message="the engine stopped telling about it")

    async def _keep_logs(self, name: str, uri: str, mask: Redactor) -> None:
        path = storage.local_path(uri)
        if path is None:
            lines = [mask(line.text) async for line in self._engine.logs(name)]
            await asyncio.to_thread(storage.write, uri, "".join(f"{line}\n" for line in lines).encode())
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", buffering=1) as file:
            async for line in self._engine.logs(name):
                file.write(f"{mask(line.text)}\n")


def _mask(spec: AttemptSpec) -> Redactor:
    return Redactor(secret.reveal() for secret in spec.secrets)


def _labels(task: Task) -> Mapping[str, str]:
    return {} if task.queue is None else {"queue": task.queue}
