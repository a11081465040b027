"""`xai new-plugin`: what it writes, what it says comes next, and which names it refuses."""

import shlex

import pytest


def test_it_says_what_it_wrote_and_what_comes_next(xai, tmp_path):
    result = xai("new-plugin", "brand-new-cam")
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "brand-new-cam/src/brand_new_cam/explainer.py").is_file()
    assert [line.strip() for line in result.out.splitlines()[-3:]] == [
        "python -m pip install -e './brand-new-cam[dev]'",
        "python -m pytest brand-new-cam",
        "xai compare PICTURE --methods grad-cam,brand-new-cam",
    ]
    assert "brand-new-cam/src/brand_new_cam/adapter.py the family brand-new-cam-net" in result.words


def test_machines_are_told_every_file(xai, tmp_path):
    out = tmp_path / "some where"
    found = xai("new-plugin", "brand-new-cam", "--out", out, "--json").json
    assert (found["method"], found["adapter"]) == ("brand-new-cam", "brand-new-cam-net")
    written = sorted(str(path) for path in out.rglob("*") if path.is_file())
    assert sorted(found["files"]) == written
    assert len(written) == 7
    *_, place = shlex.split(found["next"][0])
    assert place == f"{out / 'brand-new-cam'}[dev]"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("grad-cam", 2, "the explainer 'grad-cam' is offered by xai-core"),
        ("Grad.CAM", 2, "the explainer 'grad-cam' is offered by xai-core"),
        ("3d", 2, "received the name '3d'; expected up to 60 letters, digits"),
        ("json", 2, "received the name 'json'; its module would be called json"),
        ("there", 2, "'there' is there already; expected a name that is free"),
        ("new --out there", 1, "cannot write 'there/new': "),
    ],
)
def test_names_that_cannot_be_taken(xai, tmp_path, name, code, message):
    (tmp_path / "there").write_text("mine")
    result = xai("new-plugin", *name.split())
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
