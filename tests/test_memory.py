"""What the garbage collector still looks at."""

import gc
import subprocess
import sys

from towpath.memory import freeze_heap, share_arenas

CODE = """
import gc, weakref, fastapi
from towpath.memory import freeze_heap
freeze_heap()
assert len(gc.get_objects()) < 1000, len(gc.get_objects())
class Model: pass
model = Model(); model.itself = model; kept = weakref.ref(model)
del model; gc.collect()
assert kept() is None
"""


def test_what_comes_later_is_collected_and_what_was_there_is_left_out() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=60)


def test_threads_share_heaps_where_the_system_can() -> None:
    share_arenas()
    freeze_heap()
    gc.unfreeze()
