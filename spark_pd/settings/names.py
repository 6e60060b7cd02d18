"""The names that settings go by: ours, spark-expectations', and what is meant by a name that is neither."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from spark_pd.settings import user_config
from spark_pd.settings.definitions import SETTINGS
from spark_pd.settings.setting import Setting

OURS = "spark.pd."
PREFIXES = (OURS, "spark.expectations.", "se.", "spark.se.")

CONSTANTS: Mapping[str, str] = MappingProxyType(
    {constant: name for constant, name in vars(user_config).items() if isinstance(name, str) and name.startswith(PREFIXES)}
)


def spellings(name: str) -> tuple[str, ...]:
    """The name, and for `se.` its twin `spark.se.`: spark-submit takes no name that does not begin with `spark.`."""
    return (name, f"spark.{name}") if name.startswith("se.") else (name,)


def setting_names() -> tuple[str, ...]:
    """Every name that a setting may be given under."""
    return tuple(spelling for setting in SETTINGS for name in (setting.name, *setting.also) for spelling in spellings(name))


def environment_name(name: str) -> str:
    """The environment variable of a setting: upper case, dots to underscores."""
    return name.upper().replace(".", "_")


@dataclass(frozen=True, slots=True)
class Names:
    """All names of one spelling (dotted, or the environment's), and what they stand for."""

    settings: Mapping[str, Setting]
    """What spark_pd reads."""
    unused: Collection[str]
    """What spark-expectations reads and spark_pd never will."""

    def nearest(self, name: str, cutoff: float) -> str | None:
        """The known name that resembles `name` most, if by `cutoff` (difflib's ratio, 0 to 1) or more."""
        return next(iter(get_close_matches(name, [*self.settings, *self.unused], n=1, cutoff=cutoff)), None)

    def is_ours(self, name: str | None) -> bool:
        """Whether it is a name that spark_pd reads."""
        return name in self.settings


def _dotted() -> Names:
    settings = {spelling: setting for setting in SETTINGS for name in (setting.name, *setting.also) for spelling in spellings(name)}
    unused = frozenset(spelling for name in CONSTANTS.values() for spelling in spellings(name)) - settings.keys()
    return Names(settings, unused)


DOTTED = _dotted()
ENVIRONMENT = Names(
    {environment_name(name): setting for name, setting in DOTTED.settings.items()},
    frozenset(map(environment_name, DOTTED.unused)),
)
# Settings whose value is a mapping itself: a nested file is not flattened into them.
MAPPINGS = frozenset(
    spelling for name in (user_config.se_dq_rules_params, user_config.se_notifications_smtp_creds_dict) for spelling in spellings(name)
)


def is_section(name: str) -> bool:
    """Whether `name` is only the beginning of names, such as `spark.pd` or `spark.pd.on`."""
    return any(known.startswith(f"{name}.") for known in DOTTED.settings) and name not in DOTTED.settings


def meant(name: str) -> str | None:
    """The dotted name that somebody who wrote `name` may have meant: by its constant, its environment variable, or by resemblance."""
    if name in CONSTANTS:
        return CONSTANTS[name]
    by_variable = {environment_name(known): known for known in (*DOTTED.settings, *DOTTED.unused)}
    return by_variable.get(environment_name(name)) or DOTTED.nearest(name.lower(), 0.6)
