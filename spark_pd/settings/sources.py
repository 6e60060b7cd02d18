"""Where settings come from: each source is read into names we know, names that have no effect, and mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spark_pd.model.errors import SettingsError
from spark_pd.model.event_template import PREFIX as TEMPLATE_PREFIX
from spark_pd.settings import user_config
from spark_pd.settings.directions import PREFIX as CHANNEL_PREFIX
from spark_pd.settings.directions import SECTIONS
from spark_pd.settings.fields import shown
from spark_pd.settings.names import DOTTED, ENVIRONMENT, OURS, PREFIXES, Names, meant
from spark_pd.settings.yaml_file import read_pairs

CONFIG, SPARK, VARIABLES = "config", "Spark configuration", "environment"


@dataclass(frozen=True, slots=True)
class Given:
    """One setting as a source gives it: under which name, and what."""

    name: str
    value: object = field(repr=False)  # it may be a key
    source: str


@dataclass(slots=True)
class Source:
    """What one source gives."""

    label: str
    given: dict[str, list[Given]] = field(default_factory=dict)
    """By the setting's first name; more than one where the source uses several of its names."""
    unused: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    sections: dict[str, object] = field(default_factory=dict)
    """Of a file: channels, routes and the like."""
    channels: dict[str, object] = field(default_factory=dict, repr=False)
    """Values of `spark.pd.channel.NAME.<field>` and `spark.pd.template.<field>`, by the whole name; one may be a key."""

    def take(self, pairs: Iterable[tuple[str, object]], known: Names, unknown: Callable[[Source, str], None]) -> Source:
        """Sort the pairs by what their names are; `unknown` decides about a name that is none."""
        for name, value in pairs:
            if name in known.settings:
                self.given.setdefault(known.settings[name].name, []).append(Given(name, value, self.label))
            elif name in known.unused:
                self.unused.append(name)
            elif name.startswith((CHANNEL_PREFIX, TEMPLATE_PREFIX)):
                self.channels[name] = value
            else:
                unknown(self, name)
        return self

    def refuse(self, name: str, nearest: str | None) -> None:
        """Note that `name` is no setting."""
        advice = f"did you mean {nearest}?" if nearest else "spark_pd.user_config has the names"
        self.mistakes.append(f"{_plain(name)} (from {self.label}) is no setting; {advice}")


def read_config(config: object) -> Source:
    """The mapping that code gives. Every name that is no setting is a mistake."""
    source = Source(CONFIG)
    if config is None:
        return source
    if not isinstance(config, Mapping):
        source.mistakes.append(f"config is of type {type(config).__name__}; expected a mapping from the names of settings to their values")
        return source
    return source.take(_texts(source, config.items()), DOTTED, _always_refused)


def read_spark_conf(spark_conf: Mapping[str, str]) -> Source:
    """Spark's configuration, which holds many other names too. Every `spark.pd.` name that is no setting is a mistake."""
    ours = ((name, value) for name, value in spark_conf.items() if name.startswith(PREFIXES))
    return Source(SPARK).take(ours, DOTTED, _refused_in_spark)


def read_environment(environ: Mapping[str, str]) -> Source:
    """Environment variables. Only one that resembles a setting's is a mistake: others may be anybody's."""
    return Source(VARIABLES).take(environ.items(), ENVIRONMENT, _refused_in_environment)


def read_file(path: str) -> Source:
    """A YAML file, flat or nested. Every name that is no setting is a mistake."""
    source = Source(f"file {path}")
    try:
        pairs, source.sections = read_pairs(Path(path).expanduser(), SECTIONS)
    except SettingsError as error:
        source.mistakes.extend(error.mistakes)
        return source
    source.take(pairs, DOTTED, _always_refused)
    if source.given.pop(user_config.spark_pd_config, None):
        source.mistakes.append(f"{user_config.spark_pd_config} (from {source.label}) names another file; put all settings into one file")
    return source


def _texts(source: Source, pairs: Iterable[tuple[object, object]]) -> Iterable[tuple[str, object]]:
    for name, value in pairs:
        if isinstance(name, str):
            yield name, value
        else:
            source.mistakes.append(f"a key of type {type(name).__name__} in {source.label} is no setting's name; expected text")


def _always_refused(source: Source, name: str) -> None:
    source.refuse(name, meant(name))


def _refused_in_spark(source: Source, name: str) -> None:
    if name.startswith(OURS):
        source.refuse(name, meant(name))
        return
    nearest = DOTTED.nearest(name, 0.9)
    if DOTTED.is_ours(nearest):
        source.refuse(name, nearest)
    else:
        source.unused.append(name)


def _refused_in_environment(source: Source, name: str) -> None:
    # SE_ is too common a prefix to judge by: Selenium's variables have it.
    cutoff = {"SPARK_PD": 0.85, "SPARK_EX": 0.9}.get(name[:8])
    nearest = ENVIRONMENT.nearest(name, cutoff) if cutoff else None
    if ENVIRONMENT.is_ours(nearest):
        source.refuse(name, nearest)


def _plain(name: str) -> str:
    """A name as it is written, or masked where it looks like no name: somebody may have swapped name and key."""
    masked = shown(name)
    return name if masked == repr(name) and name.isprintable() and name else masked
