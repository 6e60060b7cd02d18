"""Dispatch: hands alerts to channels behind the run's back and answers before its deadline with what became of each.

alerts -> tasks -> in order -> in the outbox -> within the limits, or part of a storm -> delivered, one after the other -> deliveries
"""

from spark_pd.delivery.dispatch.channel_dispatchers import ChannelDispatchers, Submissions
from spark_pd.delivery.dispatch.dispatcher import Dispatcher
from spark_pd.delivery.dispatch.limits import Limits, Pace
from spark_pd.delivery.dispatch.submission import Submission

__all__ = ["ChannelDispatchers", "Dispatcher", "Limits", "Pace", "Submission", "Submissions"]
