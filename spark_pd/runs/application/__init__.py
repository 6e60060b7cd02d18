"""`spark-pd run`: a script that knows nothing of spark_pd, run as Python would, with the application itself as the run.

script -> its first Spark session -> settings, monitor -> the application's run -> how the script ended
"""
