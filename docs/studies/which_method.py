"""All methods by all metrics, on photographs and where the right answer is known.

    python docs/studies/which_method.py

makes the tables and figures of docs/which-method.md again; it takes hours on two cores,
and goes on where it was interrupted. `--set synthetic` makes one of the two; `--quick` sees that
all works.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import synthetic
from summary import agree, costs, intervals, summarise, table

from xai_core import Study
from xai_core.progress import Progress

PARAMETERS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "deletion": {"steps": 50},
        "insertion": {"steps": 50},
        "mu-fidelity": {"subsets": 100},
        "pointing-game": {"tolerance": 3},
        "rise": {"masks": 1000},
        "rise-centred": {"masks": 1000},
        "sensitivity-n": {"sizes": 5, "subsets": 60, "grid": 16},
    }
)
"""What is not at its default, to come to an end; the tolerance is that of 15 pixels in 224."""

AGAIN: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "expected-gradients": {"samples": 32},
        "integrated-gradients": {"most_steps": 32},
        "kernel-shap": {"samples": 250},
        "lime": {"samples": 250},
        "rise": {"masks": 250},
        "rise-centred": {"masks": 250},
    }
)
"""And where metrics want each map again two dozen times."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One evaluation of the study."""

    name: str
    study: Study
    pictures: Sequence[object]
    masks: Sequence[object] | None
    is_again: bool
    """Whether it is about the metrics that ask for maps again, or about the others."""
    parameters: Mapping[str, Mapping[str, object]]

    @property
    def metrics(self) -> list[object]:
        registry = self.study.registry
        found = [
            registry.metric(name, **self.parameters.get(name, {})) for name in registry.metrics
        ]
        wants_mask = {"pointing-game", "relevance-mass", "relevance-rank"}
        return [
            each
            for each in found
            if (each.maps != 0) == self.is_again and (self.masks or each.name not in wants_mask)
        ]

    @property
    def methods(self) -> list[object]:
        registry = self.study.registry
        return [
            registry.explainer(name, **self.parameters.get(name, {}))
            for name in registry.explainers
        ]


def photographs() -> list[Path]:
    """Photographs that come with installed packages, of things that ImageNet has a class for."""
    import matplotlib as mpl
    import skimage
    import sklearn

    places = {
        skimage: ("data", ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
                           "motorcycle_left.png", "rocket.jpg")),
        sklearn: ("datasets/images", ("china.jpg", "flower.jpg")),
        mpl: ("mpl-data/sample_data", ("grace_hopper.jpg",)),
    }  # fmt: skip
    return [
        Path(package.__file__).parent / folder / name
        for package, (folder, names) in places.items()
        for name in names
    ]


def network(out: Path, quick: bool) -> Path:
    """The trained network's file; training it again would not give the same to the last bit."""
    path = out / f"{'quick' if quick else 'patterns'}.keras"
    if not path.exists():
        model, right = synthetic.train(0, scenes=256 if quick else 2048)
        print(f"the network gets {right:.1%} of new scenes right")
        model.save(path)
    return path


def parts(sets: Sequence[str], out: Path, quick: bool) -> Iterator[Part]:
    """The evaluations, one after the other."""
    if "photographs" in sets:
        found = photographs()[: 2 if quick else None]
        yield from both("photographs", study=Study(), pictures=found, masks=None)
    if "synthetic" in sets:
        study = Study(network(out, quick), preprocess="none", labels=synthetic.PATTERNS)
        scenes = synthetic.draw(4 if quick else 20, 100)
        pictures, masks = list(scenes.pictures), list(scenes.masks)
        yield from both("synthetic", study=study, pictures=pictures, masks=masks)


def both(name: str, **of: Any) -> Iterator[Part]:
    """By the metrics that ask for no other map, and by those that do."""
    yield Part(name=name, is_again=False, parameters=PARAMETERS, **of)
    again = {**PARAMETERS, **AGAIN}
    yield Part(name=f"{name}-again", is_again=True, parameters=again, **of)


def show(part: Part) -> Progress:
    """A line that is written over."""

    def tell(done: int, total: int, what: str) -> None:
        print(
            f"\r{part.name}: {done} of {total}  {what:60.60}", end="", file=sys.stderr, flush=True
        )

    return tell


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", choices=("photographs", "synthetic"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for part in parts(given.set or ("photographs", "synthetic"), given.out, given.quick):
        found = part.study.evaluate(
            part.pictures,
            part.methods,
            part.metrics,
            masks=part.masks,
            journal=given.out / f"{part.name}.jsonl",
            progress=show(part),
        )
        print(file=sys.stderr)
        (given.out / f"{part.name}.markdown").write_text(table(found))
        # Without the maps on the way down, which are most of a page.
        replace(found, ladder=None).save(given.out / f"{part.name}.html")
        summarise(found, given.out / f"{part.name}.png")
        intervals(found, given.out / f"{part.name}-intervals.png")
        # Of the rest the page shows one.
        if not part.is_again:
            agree(found, given.out / f"{part.name}-agreement.png")
        if part.name == "photographs":
            (given.out / "costs.markdown").write_text(costs(found))
        if found.is_interrupted:
            sys.exit(130)


if __name__ == "__main__":
    main()
