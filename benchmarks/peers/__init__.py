"""Other libraries, each behind the same few lines."""

from benchmarks.peers.captum import CAPTUM
from benchmarks.peers.interface import Peer, Task
from benchmarks.peers.pytorch_grad_cam import PYTORCH_GRAD_CAM
from benchmarks.peers.saliency import SALIENCY
from benchmarks.peers.tf_explain import TF_EXPLAIN
from benchmarks.peers.tf_keras_vis import TF_KERAS_VIS
from benchmarks.peers.tutorial import TUTORIAL
from benchmarks.peers.xplique import XPLIQUE

PEERS = (TUTORIAL, TF_KERAS_VIS, XPLIQUE, TF_EXPLAIN, SALIENCY, PYTORCH_GRAD_CAM, CAPTUM)

__all__ = ["PEERS", "PYTORCH_GRAD_CAM", "Peer", "Task"]
