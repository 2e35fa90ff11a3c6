"""Packages that AgentDojo imports for the models that it can ask, and that are not there: nothing here
asks a model. Every name in them is a class that does nothing."""

import importlib.abc
import importlib.machinery
import sys
import types

import yaml

ABSENT = {"anthropic", "cohere", "google", "langchain", "openai", "torch", "transformers", "vertexai"}


class _Nothing(type):
    """A class whose attributes, parameters and unions are such classes too."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})

    def __getitem__(cls, _parameters):
        return cls

    def __or__(cls, _other):
        return cls

    def __ror__(cls, _other):
        return cls


class _Module(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname, _path, _target=None):
        if fullname.split(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def leave_out():
    """Has the imports succeed, and YAML read in C: each attempt reads its environment anew."""
    sys.meta_path.insert(0, _Finder())
    yaml.SafeLoader = yaml.CSafeLoader
