"""A settings file: YAML, with dotted names, nested mappings, or both."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from spark_pd.model.errors import SettingsError
from spark_pd.settings.names import MAPPINGS, is_section

_LIMIT = 10_000  # nodes; aliases can make a small file endless
_NESTED = 'expected names and values such as "spark.pd.deadline: 5"'


def read_pairs(path: Path, sections: Collection[str] = ()) -> tuple[list[tuple[str, object]], dict[str, object]]:
    """Names and values, nested mappings joined with dots; and those of `sections` on the top level, as they are.

    Raises SettingsError, which shows none of the file's text: it may hold a key.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "not a path"
        raise SettingsError([f"the settings file {path} cannot be read ({reason}); expected a YAML file on this machine"]) from None
    document = _document(content, path)
    if document is None:
        return [], {}
    if not isinstance(document, Mapping):
        raise SettingsError([f"the settings file {path} holds a {type(document).__name__}; {_NESTED}"])
    plain = {name: value for name, value in document.items() if name not in sections}
    return list(_flat(plain, path)), {name: value for name, value in document.items() if name in sections}


def _document(content: bytes, path: Path) -> object:
    import yaml

    # What PyYAML's constructors raise for an explicit tag with a bad value, beside its own errors.
    others = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)
    try:
        document: object = yaml.load(content, Loader=_loader())  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # From its first quote on, the problem may show the file's text.
        problem = (error.problem or "").split("'")[0].strip()
    except (yaml.YAMLError, *others) as error:
        place, problem = "", type(error).__name__
    else:
        return document
    raise SettingsError([f"the settings file {path} is not valid YAML{place}{f' ({problem})' if problem else ''}"])


@cache
def _loader() -> Any:
    """PyYAML's SafeLoader with two differences, made late since importing yaml takes time.

    Only true and false are booleans, as in YAML 1.2: to YAML 1.1 the key `on` of `spark: {pd: {on: ...}}` is the boolean True. And a key
    that occurs twice in one mapping is an error.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's SafeLoader with those differences."""

        def compose_mapping_node(self, anchor: Any) -> Any:
            """The mapping, unless a key is in it twice. Raises ComposerError then."""
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key, _value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise yaml.composer.ComposerError(None, None, "a name occurs twice", key.start_mark)
                    seen.add(key.value)
            return node

    boolean = "tag:yaml.org,2002:bool"
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != boolean]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(boolean, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    return Loader


def _flat(document: Mapping[Any, Any], path: Path) -> Iterator[tuple[str, object]]:
    waiting: list[tuple[str, Mapping[Any, Any]]] = [("", document)]
    nodes = 0
    while waiting:
        prefix, mapping = waiting.pop()
        for key, value in mapping.items():
            nodes += 1
            if nodes > _LIMIT:
                raise SettingsError([f"the settings file {path} nests without end or has more than {_LIMIT} values; {_NESTED}"])
            if not isinstance(key, str):
                raise SettingsError([f"the settings file {path} has a name that is a {type(key).__name__}, not text; {_NESTED}"])
            name = f"{prefix}{key}"
            if isinstance(value, Mapping) and value and name not in MAPPINGS:
                waiting.append((f"{name}.", value))
            elif value in (None, {}) and is_section(name):
                continue  # all that was in it is commented out
            else:
                yield name, value
