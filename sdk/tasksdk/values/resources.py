"""What a task needs of the machine it runs on."""

from __future__ import annotations

from typing import Literal

from imagebuilder.spec.value import Value
from tasksdk.errors import TaskDefinitionError
from tasksdk.values.quantity import cores, cores_text, size, size_text

Cpu = int | float | str
Amount = str | int


class Device(Value):
    """Accelerators of one kind: `device` names it, `partition` a slice of one (of an A100: "1g.5gb")."""

    device: str = ""
    quantity: int = 1
    partition: str | None = None

    def check(self) -> None:
        """Refuse names and numbers of accelerators that cannot be one."""
        count: object = self.quantity
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise TaskDefinitionError(f"gpu: {count!r} is not a number of accelerators", hint="write gpu=1")
        names: tuple[tuple[str, object], ...] = (("device", self.device), ("partition", self.partition or ""))
        for what, name in names:
            plain = isinstance(name, str) and all(c.isalnum() or c in "-_. " for c in name)
            if not plain or name != str(name).strip():
                raise TaskDefinitionError(f"gpu: {name!r} is not the name of a {what}", hint='write gpu="T4:1"')
        if self.partition is not None and not (self.device and self.partition):
            raise TaskDefinitionError(
                "gpu: a partition needs its device", hint='write Device(device="A100", quantity=1, partition="1g.5gb")'
            )


def device_from(gpu: int | str | Device) -> Device:
    """Accept a number, "T4", "T4:1" or a device."""
    if isinstance(gpu, Device):
        return gpu
    if isinstance(gpu, str):
        name, colon, count = gpu.partition(":")
        if not name or (colon and not (count.isascii() and count.isdigit())):
            raise TaskDefinitionError(f"gpu: {gpu!r} is not a device and a number", hint='write gpu="T4:1"')
        return Device(name, int(count) if colon else 1)
    return Device("", gpu)


class Resources(Value):
    """CPU, memory, accelerators, disk and shared memory; a pair is (request, limit)."""

    cpu: Cpu | tuple[Cpu, Cpu] | None = None
    memory: Amount | tuple[Amount, Amount] | None = None
    gpu: int | str | Device | None = None
    disk: Amount | None = None
    shm: Amount | Literal["auto"] | None = None

    def check(self) -> None:
        """Refuse amounts that do not parse, and limits below their requests."""
        for name, pair in (("cpu", self.cpu_cores), ("memory", self.memory_bytes)):
            if pair is not None and pair[1] < pair[0]:
                raise TaskDefinitionError(
                    f"{name}: the limit of {getattr(self, name)!r} is below its request",
                    hint=f"write {name}=(request, limit)",
                )
        _ = self.device, self.disk_bytes, self.shm_bytes

    @property
    def cpu_cores(self) -> tuple[float, float] | None:
        """Cores asked for and the limit; a single amount is both."""
        if self.cpu is None:
            return None
        low, high = _pair(self.cpu, "cpu")
        return cores(low, "cpu"), cores(high, "cpu")

    @property
    def memory_bytes(self) -> tuple[int, int] | None:
        """Bytes asked for and the limit; a single amount is both."""
        if self.memory is None:
            return None
        low, high = _pair(self.memory, "memory")
        return size(low, "memory"), size(high, "memory")

    @property
    def device(self) -> Device | None:
        """The accelerators, whichever way they were written; None for none and for zero."""
        if self.gpu is None or (self.gpu == 0 and isinstance(self.gpu, int)):
            return None
        return device_from(self.gpu)

    @property
    def disk_bytes(self) -> int | None:
        """Bytes of scratch space."""
        return None if self.disk is None else size(self.disk, "disk")

    @property
    def shm_bytes(self) -> int | None:
        """Bytes of shared memory; None where it is not set, or "auto": as much as the memory."""
        return None if self.shm is None or self.shm == "auto" else size(self.shm, "shm")

    @property
    def requests(self) -> dict[str, str]:
        """What is asked for, in Kubernetes' names and amounts."""
        return self._amounts(0)

    @property
    def limits(self) -> dict[str, str]:
        """What may not be exceeded, in Kubernetes' names and amounts."""
        return self._amounts(1)

    def _amounts(self, which: int) -> dict[str, str]:
        found: dict[str, str] = {}
        cpu, memory, device, disk = self.cpu_cores, self.memory_bytes, self.device, self.disk_bytes
        if cpu is not None:
            found["cpu"] = cores_text(cpu[which])
        if memory is not None:
            found["memory"] = size_text(memory[which])
        if device is not None:
            found["gpu"] = str(device.quantity)
        if disk is not None:
            found["ephemeral-storage"] = size_text(disk)
        return found


def _pair(amount: object, name: str) -> tuple[object, object]:
    if not isinstance(amount, (tuple, list)):
        return amount, amount
    if len(amount) != 2:
        raise TaskDefinitionError(f"{name}: {amount!r} is not (request, limit)", hint=f"write {name}=(request, limit)")
    return amount[0], amount[1]
