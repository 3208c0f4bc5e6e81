"""Bytes to graphs: the only place that knows the formats of models.

`refq.load` is this folder once something in it was imported, and the public function before: so the folder can be called.
"""
import sys
from types import ModuleType


class Folder(ModuleType):
    """A module that is called like `refq.load.network.load`."""

    def __call__(self, *arguments, **named):
        from refq.load.network import load
        return load(*arguments, **named)


sys.modules[__name__].__class__ = Folder
