"""The main job on real data, with a PagerDuty of its own: `spark-pd demo`. It needs the extra: pip install 'spark-pd[demo]'."""

from __future__ import annotations

from spark_pd.cli.demo.story import run_demo

__all__ = ["run_demo"]
