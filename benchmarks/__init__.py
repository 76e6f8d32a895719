"""What the project is measured by. `python -m benchmarks` lists what there is; nothing in `src` imports this."""

import os

# Before numpy and torch are loaded, which read it then: every benchmark works on one core, so that figures compare.
os.environ.setdefault("OMP_NUM_THREADS", "1")
