"""From a run's verdicts to deliveries: the notifier, the outbox, the limits and the state of incidents."""
