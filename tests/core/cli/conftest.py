import json
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from xai_core.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def words(self):
        """stdout without its alignment."""
        return " ".join(self.out.split())

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def xai(capsys, tmp_path, monkeypatch):
    """Run `xai` in an empty folder, as its entry point does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # a row is a line, as in any pipe

    def run(*arguments):
        capsys.readouterr()
        code = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Small models in files: one that rescales itself, and one that leaves its size open."""
    import keras

    folder = tmp_path_factory.mktemp("models")

    def save(name, size, *before):
        keras.utils.set_random_seed(0)
        layers = [
            keras.Input((size, size, 3)),
            *before,
            keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
        keras.Sequential(layers, name=name).save(folder / f"{name}.keras")

    save("small", 16, keras.layers.Rescaling(1 / 255, name="scaled"))
    save("open", None)
    return folder


@pytest.fixture(scope="session")
def small(models):
    return models / "small.keras"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Pictures that can be read, and files that cannot."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "noise.png")
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    (folder / "broken.png").write_bytes((folder / "noise.png").read_bytes()[:200])
    (folder / "text.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def noise(pictures):
    return pictures / "noise.png"
