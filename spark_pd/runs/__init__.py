"""Monitor and Run: the guarded block, streams, whole applications, and what ends them."""
