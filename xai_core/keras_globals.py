"""What Keras keeps for a whole thread: other for as long as something is made here, then as before.

What a study loads or makes again is the study's own; the session around it is the user's.
"""

import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from keras.src.utils.module_utils import tensorflow


@contextmanager
def own_names() -> Iterator[None]:
    """What has no name of its own is named as in a fresh process, and counted for this alone.

    Keras counts for each kind of thing how many it has named. A model that is loaded twice would
    else have other names the second time, which nobody could rely on to choose a layer, and of
    each variable's name that it ever met TensorFlow keeps 35 KiB for good.
    """
    counts = global_state.get_global_attribute(_COUNTS)
    global_state.set_global_attribute(_COUNTS, defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(_COUNTS, counts)


@contextmanager
def own_chance(seed: int) -> Iterator[None]:
    """What is drawn without a seed is drawn by this one, and the global states stay as they are."""
    own = keras.random.SeedGenerator(seed)
    before = random.getstate()
    numpys = np.random.get_state()  # noqa: NPY002 - an initialiser of someone's may draw from it
    kerass = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, own)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpys)  # noqa: NPY002
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, kerass)


@contextmanager
def own_policy(name: str) -> Iterator[None]:
    """The precision of layers that are made here without one, in this thread alone."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Have Keras not import TensorFlow, which takes seconds and writes to the terminal.

    On another backend it would, wherever it is installed, to see whether a configuration holds
    anything of it; where it has not been imported, nothing can be.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    before = tensorflow._available
    tensorflow._available = False
    try:
        yield
    finally:
        tensorflow._available = before


_COUNTS = "object_name_uids"
"""As `keras.src.utils.naming` calls how many it has named of each kind."""
