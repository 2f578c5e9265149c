"""From specs to images that are there: identify, check, plan, build, publish, verify."""

from imagebuilder.engine.engine import Engine
from imagebuilder.engine.result import Options, Result

__all__ = ["Engine", "Options", "Result"]
