"""Float64 on the backends where Keras makes float32 of it.

On JAX and torch, Keras' rules for the dtype of a result end in a table that turns float64 into
float32, so that a model in float64 computes a mean in float32. There is no setting for it.
"""

from keras.src.backend.common import dtypes

from xai_core.probe.replaced import Replaced

float64_stays = Replaced(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
