"""`python -m spark_pd`. It is also what spark-submit can be given, which takes no command without `.py` at its end."""

import sys

if not __package__:
    # Python looks into this folder first then, and it holds a `secrets` that is not Python's.
    sys.path[0] = sys.path[0].rpartition("/")[0] or "/"

from spark_pd.cli import main

if __name__ == "__main__":
    main(prog_name="spark-pd")
