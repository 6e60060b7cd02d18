"""The outbox: alerts on disk from before they are sent until PagerDuty accepted them.

alert, address -> entry -> one file -> sent, or dead with the reason, or still there for the next run
"""

from spark_pd.delivery.outbox.entry import Entry
from spark_pd.delivery.outbox.replay import Outcome, Route, replay
from spark_pd.delivery.outbox.store import Outbox, open_outbox

__all__ = ["Entry", "Outbox", "Outcome", "Route", "open_outbox", "replay"]
