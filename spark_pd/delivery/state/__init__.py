"""The state: what is remembered of incidents between runs, in files inside the outbox's folder."""

from spark_pd.delivery.state.state_files import FileStateStore, place_of, state_of

__all__ = ["FileStateStore", "place_of", "state_of"]
