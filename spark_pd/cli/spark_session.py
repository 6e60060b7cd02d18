"""The Spark session of a command that reads tables, and what to do where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_pd.model.errors import UsageError
from spark_pd.settings.names import PREFIXES


def ours(conf: Mapping[str, str]) -> dict[str, str]:
    """The `--conf` options that are settings of spark_pd."""
    return {name: value for name, value in conf.items() if name.startswith(PREFIXES)}


def session_for(command: str, conf: Mapping[str, str]) -> Any:
    """A session on this machine; what of `conf` is no setting of ours is given to it. Raises UsageError, which says what it needs."""
    from spark_pd.secrets.redaction import one_line
    from spark_pd.spark import session

    try:
        return session.local_session({name: value for name, value in conf.items() if not name.startswith(PREFIXES)})
    except ImportError:
        raise UsageError(f"{command} reads a table with PySpark, which is not installed here: pip install 'spark-pd[spark]'") from None
    except Exception as error:
        what = one_line(str(error), 300)
        raise UsageError(
            f"{command} needs a Spark session, and none could be started ({type(error).__name__}: {what}); "
            "it takes Java 17 or 21 (JAVA_HOME, or java on the PATH), and a --conf that Spark accepts"
        ) from None
