"""The state: what is remembered of incidents between runs, in files inside the outbox's folder."""

from spark_pd.state.store import FileStateStore, state_of

__all__ = ["FileStateStore", "state_of"]
