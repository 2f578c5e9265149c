"""Amounts of CPU and bytes, as Kubernetes writes them."""

from __future__ import annotations

from tasksdk.errors import TaskDefinitionError

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_BYTES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BYTES |= {f"{letter}i": 1024 ** (n + 1) for n, letter in enumerate("KMGTPE")}


def cores(amount: object, where: str) -> float:
    """Cores from 1, 0.5, "500m" or "2"."""
    text = _text(amount, where, 'write cpu=2, cpu="500m" or cpu=(1, 2)')
    milli = text.endswith("m")
    value = _number(text[:-1] if milli else text, amount, where, 'write cpu=2, cpu="500m" or cpu=(1, 2)')
    return value / 1000 if milli else value


def size(amount: object, where: str) -> int:
    """Bytes from "1Gi", "1GiB", "500M", "1GB" or a number of bytes."""
    hint = f'write {where}="1Gi" or {where}="500Mi"'
    text = _text(amount, where, hint)
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(digits) :]
    factor = _BYTES.get(unit[:-1] if len(unit) > 1 and unit.endswith("B") else unit)
    if factor is None:
        raise TaskDefinitionError(f"{where}: {amount!r} is not a number of bytes", hint=hint)
    return int(_number(digits, amount, where, hint) * factor)


def cores_text(value: float) -> str:
    """Cores as Kubernetes writes them, to the thousandth."""
    milli = max(1, round(value * 1000))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def size_text(value: int) -> str:
    """Bytes in the largest binary unit that divides them."""
    for n, letter in reversed(list(enumerate("KMGTPE"))):
        unit = 1024 ** (n + 1)
        if value and value % unit == 0:
            return f"{value // unit}{letter}i"
    return str(value)


def _text(amount: object, where: str, hint: str) -> str:
    if isinstance(amount, bool) or not isinstance(amount, (str, int, float)):
        raise TaskDefinitionError(f"{where}: {amount!r} is not an amount", hint=hint)
    return str(amount).strip()


def _number(text: str, amount: object, where: str, hint: str) -> float:
    try:
        value = float(text) if text[:1].isdigit() or text[:1] == "." else -1.0
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise TaskDefinitionError(f"{where}: {amount!r} is not a positive amount", hint=hint)
    return value
