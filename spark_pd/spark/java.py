"""Java text, compiled in the running driver by Janino, the compiler that Spark itself carries for its generated code.

No jar and no build step: the text ships in the wheel. A compiled text belongs to one JVM and is kept as long as this process talks to it.
"""

from __future__ import annotations

import importlib.resources
import re
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_lock = threading.Lock()
_loaders: weakref.WeakKeyDictionary[Any, dict[tuple[str, str], Any]] = weakref.WeakKeyDictionary()
"""gateway -> (package, file) -> the class loader of what was compiled from it."""


def _source(jvm: Any, package: str, file: str) -> str:
    def read(name: str) -> str:
        """A file's text, with those that it includes."""
        text = importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8")
        return re.sub(r"^// @INCLUDE (\S+)@$", lambda line: read(line[1]), text, flags=re.MULTILINE)

    text = read(file)
    scala_213 = str(jvm.scala.util.Properties.versionNumberString()).startswith("2.13")
    return text.replace("@SEQ@", "scala.collection.immutable.Seq" if scala_213 else "scala.collection.Seq")


def load_class(spark: SparkSession, package: str, file: str, name: str) -> Any:
    """The java.lang.Class `name` compiled from `file` of `package`; compiled once for each JVM (0.1 to 0.5 s).

    Raises what py4j raises where this driver cannot compile it (another compiler, a closed JVM): the caller falls back.
    """
    context = spark.sparkContext
    gateway: Any = context._gateway
    jvm: Any = context._jvm
    with _lock:
        loaders = _loaders.setdefault(gateway, {})
        loader = loaders.get((package, file))
        if loader is None:
            compiler = jvm.org.codehaus.janino.SimpleCompiler()
            compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
            compiler.cook(_source(jvm, package, file))
            loader = loaders[package, file] = compiler.getClassLoader()
    return loader.loadClass(name)


def construct(spark: SparkSession, java_class: Any, *arguments: Any) -> Any:
    """A new object of a compiled class, by its only public constructor."""
    context = spark.sparkContext
    gateway: Any = context._gateway
    jvm: Any = context._jvm
    array = gateway.new_array(jvm.java.lang.Object, len(arguments))
    for place, argument in enumerate(arguments):
        array[place] = argument
    return java_class.getConstructors()[0].newInstance(array)
