"""What is drawn from results, and what is said of those that are missing."""

import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.bars import BARS, verdicts
from benchmarks.report import write
from benchmarks.report.page import page
from benchmarks.report.text import amount, seconds, table
from benchmarks.results import Measurement, Result, Results
from benchmarks.settings import DEVICES

CALLS = ("Grad-CAM", "five CAMs", "five CAMs x 5 classes", "saliency", "five CAMs + saliency")


def environment(**conditions):
    known = {
        "device": "cpu",
        "backend": "tensorflow",
        "engine": "frozen",
        "threads": 1,
        "samples": 9,
        "seed": 0,
    }
    return {
        "conditions": {**known, **conditions},
        "machine": {
            "processor": "Some Processor",
            "instructions": ["avx2"],
            "memory_gib": 16,
            "gpus": [],
            "tf32": False,
        },
        "versions": {"python": "3.11.7", "tensorflow": "2.21.0"},
        "source": "abc",
    }


def core(case="resnet50/batch-8", ratios=(0.9, 0.97, 1.1, 2.0, 2.1), load=1.0, key="e"):
    work = {"operations": 8_000_000_000, "bytes": 100_000_000}
    forward = Measurement("forward", samples=(0.8,) * 9, share=8, first=2.0, facts=work)
    calls = [
        Measurement(what, samples=(0.8 * each,) * 9, share=8, against="forward", first=5.0)
        for what, each in zip(CALLS, ratios, strict=True)
    ]
    return Result(f"core/{case}", key, (forward, *calls), "2026-01-02T03:04:05", 10.0, load)


def results(*made, **conditions):
    found = Results()
    for each in made:
        found = found.plus(each, environment(**conditions))
    return found


def row(text, name):
    line = next(each for each in text.splitlines() if each.startswith(f"| {name} |"))
    return [each.strip() for each in line.strip("|").split("|")]


def test_nothing_measured_says_so_of_every_bar_and_group():
    text = page(Results(), [])
    assert text.count("| not measured | not measured |") == len(BARS)
    assert text.count("Not measured.") == text.count("\n### ") - 1
    assert "Not measured yet." in text


def test_a_bar_that_is_met_is_said_to_be():
    text = page(results(core()), [])
    assert row(text, "Grad-CAM, of a forward pass")[1:] == ["≤ 0.950", "", "0.900", "yes"]
    assert row(text, "Saliency, of a forward pass")[1:] == ["≤ 2.100", "1.900", "2.000", "yes"]


def test_a_bar_that_is_missed_is_said_to_be_wherever_it_stands():
    other = core("vgg16/batch-8", (0.96, 0.97, 1.1, 2.0, 2.1))
    text = page(results(core(), other), [])
    assert row(text, "Grad-CAM, of a forward pass")[3:] == ["0.900 to 0.960", "**in 1 of 2**"]
    assert row(text, "vgg16/batch-8")[2:5] == ["100 ms", "**0.960**", "0.970"]
    assert row(text, "resnet50/batch-8")[3] == "0.900"


def test_a_bar_is_met_at_its_bound_and_not_beyond():
    bars = {(each.group, each.what): each for each in BARS if each.device == "cpu"}
    assert bars["core", "Grad-CAM"].met_by(0.95)
    assert not bars["core", "Grad-CAM"].met_by(0.9501)
    order = bars["openvino", "order of the places, bfloat16"]
    assert order.met_by(0.995)
    assert not order.met_by(0.9949)


def test_what_failed_is_not_met_and_not_hidden():
    lost = Result(
        "openvino/vgg16/batch-1",
        "e",
        (Measurement("Grad-CAM, openvino", failure="not installed: openvino"),),
        "2026-01-02T03:04:05",
        0.0,
        1.0,
    )
    broken = Result("core/vgg16/batch-1", "e", (), "2026-01-02T03:04:05", 0.0, 1.0, "it ended")
    made = results(core(), lost, broken)
    text = page(made, [])
    assert "| vgg16/batch-1 | 1 core, frozen | failed: it ended |" in text
    assert "| vgg16/batch-1 | 1 core, frozen | not installed: openvino |" in text
    bar = next(each for each in BARS if each.what == "Grad-CAM, openvino")
    (verdict,) = verdicts(bar, made)
    assert not verdict.met


def test_bars_are_of_their_device():
    cpu, gpu = (results(core(ratios=(1.1, 1.16, 3.0, 2.5, 3.0)), device=each) for each in DEVICES)
    found = {(bar.what, bar.bound): verdict.met for bar in BARS for verdict in verdicts(bar, gpu)}
    assert found == {
        ("Grad-CAM", 1.10): True,
        ("five CAMs", 1.15): False,
        ("saliency", 2.50): True,
    }
    shown = row(page(gpu, []), "resnet50/batch-8")
    assert shown[1:] == ["GPU, frozen", "100 ms", "1.100", "**1.160**", "3.000", "2.500", "3.000"]
    assert not any(bar.device == "gpu" for bar in BARS if list(verdicts(bar, cpu)))
    assert row(page(cpu, []), "resnet50/batch-8")[3] == "**1.100**"


def test_what_is_not_the_default_stands_beside_the_cores():
    cases = {
        "1 core, frozen": {},
        "1 core, jax, frozen": {"backend": "jax"},
        "1 core, torch, bfloat16, frozen": {"backend": "torch", "dtype": "bfloat16"},
        "GPU, TF32, frozen": {"device": "gpu", "tf32": True},
    }
    for text, conditions in cases.items():
        made = page(results(core(), **conditions), [])
        assert row(made, "resnet50/batch-8")[1] == text
    assert "- engine: frozen on torch, cpu, bfloat16\n" in page(
        results(core(), backend="torch", dtype="bfloat16"), []
    )


def test_pictures_a_second_and_the_share_of_the_peak_of_the_same_dtype():
    peak = (
        Measurement("multiply, float32", "FLOP/s", (4e10,)),
        Measurement("multiply, bfloat16", "FLOP/s", (1e11,)),
    )
    limit = Result("limit/machine", "e", peak, "2026-01-02T03:04:05", 1.0, 1.0)
    for dtype, share in (("float32", "25%"), ("bfloat16", "10%")):
        made = page(results(core(), limit, dtype=dtype), [])
        text = made.split("### Pictures a second")[1].split("###")[0]
        # 8 pictures in 0.8 s; 8e9 operations in it are 1e10 a second.
        assert row(text, "resnet50/batch-8")[2:] == ["10", "11.1", "10.3", "5", share]
    other = results(core()).plus(replace(limit, environment="f"), environment(threads=2))
    text = page(other, []).split("### Pictures a second")[1].split("###")[0]
    assert row(text, "resnet50/batch-8")[-1] == ""


@pytest.mark.parametrize("device", DEVICES)
def test_five_cams_are_held_to_a_third_of_a_peer_s_time(device):
    def timed(ours):
        ways = (
            Measurement("xai-core, five CAMs", samples=(ours,)),
            Measurement("pytorch-grad-cam, five CAMs", samples=(3.0,)),
        )
        made = Result("peers/pytorch-grad-cam/x", "e", ways, "2026-01-02", 1.0, 1.0)
        return results(made, device=device)

    bars = [each for each in BARS if each.what == "xai-core, five CAMs"]
    assert [each.device for each in bars] == list(DEVICES)
    (bar,) = (each for each in bars if each.device == device)
    for ours, met in ((1.0, True), (1.1, False)):
        (verdict,) = verdicts(bar, timed(ours))
        assert (verdict.value, verdict.met) == (ours / 3, met)


def test_every_method_that_asks_has_a_bar_by_either_engine():
    bars = {each.what: each.bound for each in BARS if each.group == "queries"}
    methods = ("RISE", "Occlusion", "Score-CAM")
    assert bars == dict.fromkeys(methods, 1.0) | {f"{each}, openvino": 0.85 for each in methods}


def test_queries_are_shown_with_how_many_they_are():
    facts = {"queries": 65, "to a pass": 34}
    ways = (
        Measurement("forward", samples=(3.2,), share=32),
        Measurement("Score-CAM", samples=(7.8,), share=65, against="forward", facts=facts),
    )
    text = page(results(Result("queries/x", "e", ways, "2026-01-02", 1.0, 1.0)), [])
    assert row(text, "x")[2:] == ["100 ms", "**1.200**"]
    assert "\n\nQuestions to a call: Score-CAM 65 in passes of 34.\n" in text


def test_growth_within_its_noise_meets_its_bar():
    def grown(by):
        facts = {"count": 50, "grown": by, "noise": 2.0}
        return Result(
            "growth/studies",
            "e",
            (Measurement("studies", "MiB", (1.0,), facts=facts),),
            "2026-01-02",
            1.0,
            1.0,
        )

    bar = next(each for each in BARS if each.what == "studies")
    for by, met in ((-3.0, True), (2.0, True), (2.1, False)):
        (verdict,) = verdicts(bar, results(grown(by)))
        assert verdict.met is met
    assert "+2.10 MiB" in page(results(grown(2.1)), [])


def test_numbers_of_a_busy_machine_are_told_apart():
    assert "busy" not in page(results(core(load=1.9)), [])
    text = page(results(core(load=2.1)), [])
    assert "**The machine was busy with other work**" in text
    assert "not to be trusted: core/resnet50/batch-8." in text


def test_the_page_says_where_it_was_measured():
    text = page(results(core()), [])
    assert "- when: 2026-01-02 03:04 UTC\n- scenarios: 1: core (resnet50/batch-8)\n" in text
    assert "versions of the code" not in text
    assert "- processor: 1 core of Some Processor (avx2)\n" in text
    assert "GPU" not in text.split("### Where and when")[1]


def test_rows_of_several_versions_of_the_code_are_told_apart():
    def at(case, key, hour):
        return replace(core(case), environment=key, at=f"2026-01-02T{hour}:04:05")

    newer = environment(threads=2) | {"source": "def"}
    made = Results().plus(at("a", "new", "20"), newer).plus(at("b", "old", "11"), environment())
    made = made.plus(at("c", "old", "12"), environment())
    text = page(made, []).split("### Where and when")[1]
    assert "**Measured with 2 versions of the code,** oldest first" in text
    assert "- when: 2026-01-02 11:04 to 2026-01-02 12:04 UTC\n- scenarios: 2: core (b, c)\n" in text
    assert text.index("- scenarios: 2: core (b, c)") < text.index("- scenarios: 1: core (a)")
    assert text.index("- code: sha256 abc") < text.index("- code: sha256 def")


def test_times_have_the_unit_that_fits():
    assert seconds(0.00001234) == "12.3 µs"
    assert seconds(0.0123) == "12.3 ms"
    assert seconds(12.34) == "12.3 s"
    assert amount(1.5e11, "FLOP/s") == "150 GFLOP/s"
    assert amount(612.3, "MiB") == "612 MiB"
    assert amount(0.98412, "") == "0.984"


def test_a_table_keeps_its_columns():
    assert table(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"


def test_the_report_is_written_from_the_file_alone(tmp_path):
    limit = Result(
        "limit/machine",
        "e",
        (
            Measurement("multiply, float32", "FLOP/s", (1e11,)),
            Measurement("move", "B/s", (1e10,)),
        ),
        "2026-01-02T03:04:05",
        1.0,
        1.0,
    )
    results(core(), limit).write(tmp_path / "results.json")
    (tmp_path / "peers.png").write_bytes(b"of an older run")
    program = (
        "import sys\n"
        "from benchmarks.cli import main\n"
        "assert main(['report', sys.argv[1]]) == 0\n"
        "assert not {'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "results.json"], check=True)
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"results.json", "report.markdown", "ratios.png", "roofline.png"}
    text = (tmp_path / "report.markdown").read_text()
    for name in ("ratios.png", "roofline.png"):
        assert f"]({name})" in text
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("group", ["batch", "size", "methods", "classes"])
def test_curves_have_a_point_for_each_place(group, tmp_path):
    from benchmarks.report.plots import PLOTS

    made = []
    for at in (1, 4):
        ways = (
            Measurement("forward", samples=(0.5 * at,), share=at),
            Measurement("Grad-CAM", samples=(at,), share=at, against="forward", facts={"at": at}),
        )
        made.append(Result(f"{group}/x/{at}", "e", ways, "2026-01-02", 1.0, 1.0))
    plot = next(each for each in PLOTS if each.group == group)
    (panel,) = plot.draw(results(*made)).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines()}
    assert lines == {
        "forward, 1 core": [[1, 500], [4, 500]],
        "Grad-CAM, 1 core": [[1, 1000], [4, 1000]],
    }
    assert list(write(Results(), tmp_path)) == [tmp_path / "report.markdown"]


def test_each_engine_has_a_bar_of_its_own():
    from benchmarks.report.plots import _ratios

    found = results(core(key="a")).plus(
        core(ratios=(1.0, 1.0, 1.0, 1.0, 1.0), key="b"), environment(engine="auto")
    )
    figure = _ratios(found)
    panel = figure.axes[0]
    labels = [each.get_text() for each in panel.get_yticklabels()]
    assert labels == ["resnet50/batch-8, 1 core, auto", "resnet50/batch-8, 1 core, frozen"]
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([1.0, 0.9])


def test_a_model_has_one_colour_and_one_place_whenever_it_was_measured():
    from benchmarks.report.plots import _ratios, _roofline

    peaks = (
        Measurement("multiply, float32", "FLOP/s", (4e10,)),
        Measurement("move", "B/s", (1e10,)),
    )
    found = Results()
    for key, threads, models in (("a", 2, ("vgg16", "resnet50")), ("b", 1, ("xception", "vgg16"))):
        conditions = environment(threads=threads, dtype="float32")
        limit = Result("limit/machine", key, peaks, "2026-01-02T03:04:05", 1.0, 1.0)
        cases = [core(f"{each}/batch-{count}", key=key) for each in models for count in (16, 8)]
        for each in (limit, *cases):
            found = found.plus(each, conditions)
    labels = [each.get_text() for each in _ratios(found).axes[0].get_yticklabels()]
    assert [each.partition(",")[0] for each in labels] == [
        *("resnet50/batch-8", "resnet50/batch-16", "vgg16/batch-8", "vgg16/batch-16"),
        *("vgg16/batch-8", "vgg16/batch-16", "xception/batch-8", "xception/batch-16"),
    ]
    two, one = _roofline(found).axes
    colours = [{line.get_label(): line.get_color() for line in panel.lines} for panel in (two, one)]
    assert colours[0]["vgg16"] == colours[1]["vgg16"]
    assert len({colours[0]["vgg16"], colours[0]["resnet50"], colours[1]["xception"]}) == 3
    # The roof ends behind the marks: 80 operations a byte, where it would end at 64.
    assert two.lines[0].get_xdata()[-1] == pytest.approx(120)
