"""Answers what metrics ask: nothing is run or made twice for one picture."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from xai_core.errors import MetricError, ModelError, PictureError, XaiError
from xai_core.images import as_picture
from xai_core.interfaces import Explainer
from xai_core.masks import Mask
from xai_core.metrics import Other, Rung, Witness
from xai_core.planner import PictureLike
from xai_core.probe import backend
from xai_core.queries import Queries
from xai_core.rank_correlation import is_level
from xai_core.references import REFERENCES
from xai_core.room import QUERY_BATCH, Room
from xai_core.twins import Ladder
from xai_core.types import Cell, Explanation, Failure
from xai_core.typing import FloatArray

if TYPE_CHECKING:
    from xai_core.study import Study

Made: TypeAlias = FloatArray | XaiError
"""A raw map, or why there is none."""

Descent: TypeAlias = Sequence[tuple[tuple[str, ...], Sequence[Cell]]]
"""For each rung of a ladder its layers, and the map of each method or why it failed."""

SLACK = 1e-6
"""How far beyond its bounds rounding may carry a value or a probability."""

_TOGETHER = 8
"""Pictures to a pass where maps are made again."""


class Answers:
    """Probabilities and scores of variants of one picture, each run once, of whatever class.

    Args:
        study: Who is asked.
        told: Called with the number of pictures that were run so far.
        room: How many go at a time.
    """

    def __init__(
        self,
        study: "Study",
        told: Callable[[int], None] = lambda count: None,
        room: Room | None = None,
    ) -> None:
        self._study = study
        self._queries = Queries(study, None, told=told, room=room)
        self._probabilities: dict[bytes, FloatArray] = {}
        self._scores: dict[bytes, FloatArray] = {}
        self.asked = 0
        """Pictures that were asked about."""

    @property
    def run(self) -> int:
        """Pictures that the model was run on."""
        return self._queries.count

    def probabilities(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.probabilities`."""
        return self._of(self._probabilities, pixels, target)

    def scores(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.scores`."""
        return self._of(self._scores, pixels, target)

    def of_all_classes(self, pixels: FloatArray) -> FloatArray:
        """What stands for the probabilities of every class (K,) of one picture (H, W, C)."""
        given = checked(self._study, pixels[None])
        (key,) = _keys(given)
        self._run(given, [key], 0)
        return self._probabilities[key]

    def _of(self, known: Mapping[bytes, FloatArray], pixels: FloatArray, target: int) -> FloatArray:
        given = checked(self._study, pixels)
        self.asked += len(given)
        keys = _keys(given)
        self._run(given, keys, target)
        return np.asarray([known[key][target] for key in keys], np.float64)

    def _run(self, given: FloatArray, keys: Sequence[bytes], target: int) -> None:
        """Run the pictures that are not known yet; each pass tells both of what may be asked."""
        new = {key: number for number, key in enumerate(keys) if key not in self._probabilities}
        places = list(new.values())
        for first in range(0, len(places), QUERY_BATCH):
            part = places[first : first + QUERY_BATCH]
            images = backend().to_device(self._study.input.feed(given[part]))
            targets = np.full(len(part), target, np.int32)
            scores, probabilities = map(backend().to_host, self._queries.outputs(images, targets))
            self._scores.update(zip((keys[place] for place in part), scores, strict=True))
            self._probabilities.update(
                zip((keys[place] for place in part), probabilities, strict=True)
            )


@dataclass(frozen=True)
class Gallery:
    """The other pictures of an evaluation, read when they are asked for."""

    study: "Study"
    sources: Sequence[PictureLike]

    def others(
        self, number: int, target: int, count: int, seed: tuple[int, ...]
    ) -> tuple[Other, ...]:
        """See `Trial.others`, for the picture of that number."""
        found: dict[int, Other] = {}
        own = self._place.get(number)
        for place in np.random.default_rng((*seed, 2)).permutation(self._readable).tolist():
            if len(found) == count:
                break
            other = None if place == own else self._read(place)
            if other and other.target not in (target, *found):
                found[other.target] = other
        if len(found) < count:
            raise MetricError(
                f"{count} other pictures of classes of their own are asked for, and the evaluation "
                f"has {len(found)}; expected more pictures, of more classes"
            )
        return tuple(found.values())

    @cached_property
    def sha256(self) -> str:
        """Of the pictures, in whatever order."""
        return hashlib.sha256(" ".join(sorted(self._first)).encode()).hexdigest()

    @cached_property
    def _readable(self) -> list[int]:
        """Where the pictures are that can be read, in an order that is not that of asking."""
        return [self._first[each] for each in sorted(self._first)]

    @cached_property
    def _place(self) -> dict[int, int]:
        """Of each picture that can be read, where the same one is met first."""
        return {place: self._first[each] for place, each in self._hashes.items()}

    @cached_property
    def _first(self) -> dict[str, int]:
        """By hash."""
        found: dict[str, int] = {}
        for place, each in self._hashes.items():
            found.setdefault(each, place)
        return found

    @cached_property
    def _hashes(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for place, source in enumerate(self.sources):
            with suppress(PictureError):
                found[place] = as_picture(source).sha256
        return found

    @cached_property
    def _read(self) -> Callable[[int], Other | None]:
        @lru_cache(maxsize=64)
        def read(place: int) -> Other | None:
            try:
                picture = as_picture(self.sources[place])
                pixels = sealed(self.study.input.fitted([picture])[0][0])
                (best,) = self.study.predict(picture, top=1).classes
            except PictureError:
                return None
            return Other(pixels, best.index)

        return read


class Copies:
    """The copies of the model that some metrics ask for, made when they are."""

    def __init__(self, study: "Study", seed: int) -> None:
        self._study = study
        self._seed = seed

    @cached_property
    def precise(self) -> "Study":
        """In float64."""
        return self._study.in_float64()

    @property
    def ladder(self) -> "tuple[Study, Ladder]":
        """With weights that are drawn anew, rung by rung.

        Raises:
            ModelError: the model cannot be made again; it is tried once.
        """
        if isinstance(self._ladder, ModelError):
            raise self._ladder
        return self._ladder

    @cached_property
    def _ladder(self) -> "tuple[Study, Ladder] | ModelError":
        try:
            return self._study.ladder(self._seed)
        except ModelError as error:
            return error


class Maps:
    """Maps made again of one picture's variants, or by copies of the model: of all methods at once.

    Args:
        study: Who makes them.
        copies: Of the model.
        explainers: The methods, in the order of the rows.
        rows: What to call each.
        room: Told what did not fit.
    """

    def __init__(
        self,
        study: "Study",
        copies: Copies,
        explainers: Sequence[Explainer],
        rows: Sequence[str],
        room: Room,
    ) -> None:
        self._study = study
        self._copies = copies
        self._explainers = explainers
        self._rows = rows
        self._room = room
        self.run = 0
        """Pictures that the model, or a copy, was run on."""
        self._known: dict[tuple[object, ...], dict[str, Made]] = {}
        self._cells: dict[tuple[int, int], Sequence[Cell]] = {}
        """The maps at each rung, by how many layers are drawn anew and the class."""

    def again(self, pixels: FloatArray, target: int, row: str) -> list[Made]:
        """Raw maps of a method for pictures (Q, H, W, C)."""
        given = checked(self._study, pixels, least=0, most=255)
        keys = _keys(given)
        new = {key: number for number, key in enumerate(keys) if (key, target) not in self._known}
        self._make(self._study, given[list(new.values())], target, [(key, target) for key in new])
        return [self._known[key, target][row] for key in keys]

    def in_float64(self, pixels: FloatArray, target: int, row: str) -> Made:
        """The raw map of a method for the picture (H, W, C), computed in float64."""
        key = ("float64", target)
        if key not in self._known:
            self._make(self._copies.precise, pixels[None], target, [key])
        return self._known[key][row]

    def rungs(
        self, pixels: FloatArray, target: int, count: int, row: str
    ) -> list[tuple[tuple[str, ...], Made]]:
        """For each rung, its layers and the raw map of a method for the picture (H, W, C)."""
        study, ladder = self._copies.ladder
        rungs = ladder.rungs(count)
        standing = list(accumulate(map(len, rungs)))
        for layers in standing:
            key = ("rung", layers, target)
            if key not in self._known:
                ladder.stand(layers)
                self._cells[layers, target] = self._make(study, pixels[None], target, [key])
        found = (self._known["rung", layers, target][row] for layers in standing)
        return list(zip(rungs, found, strict=True))

    def descent(self, target: int, count: int) -> Descent:
        """Each rung's layers, and what all methods made there; nothing where no one asked."""
        if not self._cells:
            return []
        _, ladder = self._copies.ladder
        rungs = ladder.rungs(count)
        standing = [(layers, target) for layers in accumulate(map(len, rungs))]
        if not self._cells.keys() >= set(standing):
            return []
        return list(zip(rungs, (self._cells[each] for each in standing), strict=True))

    def _make(
        self,
        study: "Study",
        pictures: FloatArray,
        target: int,
        keys: Sequence[tuple[object, ...]],
    ) -> Sequence[Cell]:
        """Make the maps of every method for some pictures."""
        if not self._explainers or not len(pictures):
            self._known.update((key, {}) for key in keys)
            return ()
        made = study.compare(list(pictures), self._explainers, target, batch=_TOGETHER)
        self._room.notices += made.notices
        self.run += sum(each.pictures for each in made.passes)
        cells = made.cells
        self.run += sum(
            int(each.facts.get("queries", 0)) for each in cells if isinstance(each, Explanation)
        )
        many = len(self._explainers)
        for number, key in enumerate(keys):
            mine = cells[number * many : (number + 1) * many]
            self._known[key] = {
                row: cell.error if isinstance(cell, Failure) else cell.map
                for row, cell in zip(self._rows, mine, strict=True)
            }
        return cells


@dataclass(frozen=True)
class Seen:
    """What all witnesses of one picture and class share."""

    study: "Study"
    pixels: FloatArray
    number: int
    target: int
    seed: tuple[int, ...]
    answers: Answers
    gallery: Gallery
    mask: Mask | XaiError | None = None
    """Where the object is, at the input's size; or why that is not known."""


class Counting(Witness):
    """Answers what does not depend on who made the map, and counts the maps."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.made = 0
        """Maps that were asked for."""
        self.met = 0
        """Other pictures that were asked for."""

    @property
    def run(self) -> int:
        """Pictures that the model was run on so far, for the answers and for maps."""
        return self._seen.answers.run

    def probabilities(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.probabilities`."""
        answers = self._seen.answers
        found = answers.probabilities(pixels, target)
        _held(np.concatenate([answers.of_all_classes(self._seen.pixels), found]))
        return found

    def scores(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.scores`."""
        return self._seen.answers.scores(pixels, target)

    def others(self, count: int) -> tuple[Other, ...]:
        """See `Trial.others`."""
        self.met += count
        seen = self._seen
        return seen.gallery.others(seen.number, seen.target, count, seen.seed)

    @property
    def _size(self) -> tuple[int, ...]:
        return self._seen.pixels.shape[:2]


class MethodWitness(Counting):
    """Answers for the map of a method."""

    def __init__(self, seen: Seen, maps: Maps, row: str) -> None:
        super().__init__(seen)
        self._maps = maps
        self._row = row

    @property
    def run(self) -> int:
        """Those of the maps of all methods, which are made together, with the answers."""
        return super().run + self._maps.run

    def maps(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.maps`."""
        self.made += len(pixels)
        again = self._maps.again(pixels, target, self._row)
        made = [at_input(_or_raise(each), self._size) for each in again]
        return np.stack(made) if made else np.zeros((0, *self._size))

    def randomised(self, rungs: int) -> tuple[Rung, ...]:
        """See `Trial.randomised`."""
        seen = self._seen
        made = self._maps.rungs(seen.pixels, seen.target, rungs, self._row)
        self.made += len(made)
        return tuple(rung(layers, each, self._size) for layers, each in made)

    def precise(self) -> FloatArray:
        """See `Trial.precise`."""
        self.made += 1
        seen = self._seen
        made = _or_raise(self._maps.in_float64(seen.pixels, seen.target, self._row))
        return _finite(np.asarray(made, np.float64))


class ReferenceWitness(Counting):
    """Answers for a map that knows nothing of the model.

    What is drawn at random is drawn anew for each map that is asked for, save the one in float64.
    """

    def __init__(self, seen: Seen, row: str, copies: Copies) -> None:
        super().__init__(seen)
        self.row = row
        self._copies = copies

    def make(self, pixels: FloatArray, *salt: int) -> FloatArray:
        """The map of some pixels (H, W, C)."""
        return REFERENCES[self.row](pixels, np.random.default_rng((*self._seen.seed, 1, *salt)))

    def maps(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.maps`."""
        self.made += len(pixels)
        given = checked(self._seen.study, pixels, least=0, most=255)
        salts = [int.from_bytes(key[:8], "big") for key in _keys(given)]
        made = [self.make(each, salt, target) for each, salt in zip(given, salts, strict=True)]
        return np.stack(made) if made else np.zeros((0, *self._size))

    def randomised(self, rungs: int) -> tuple[Rung, ...]:
        """See `Trial.randomised`."""
        _, ladder = self._copies.ladder
        layers = ladder.rungs(rungs)
        self.made += len(layers)
        made = (self.make(self._seen.pixels, 1 + number) for number in range(len(layers)))
        return tuple(rung(at, each, self._size) for at, each in zip(layers, made, strict=True))

    def precise(self) -> FloatArray:
        """See `Trial.precise`."""
        self.made += 1
        return self.make(self._seen.pixels)


def rung(layers: tuple[str, ...], made: Made, size: tuple[int, ...]) -> Rung:
    """A map, and why it says nothing, where it does not."""
    if isinstance(made, XaiError):
        return Rung(layers, None, f"the method failed: {made}")
    if not np.isfinite(made).all():
        return Rung(layers, None, "not all values are finite")
    flat = "all values are the same" if is_level(made) else None
    return Rung(layers, at_input(made, size), flat)


def _held(outputs: FloatArray) -> None:
    """Hold what stands for probabilities to be some: of the picture for all classes, and others.

    Raises:
        MetricError: they are not.
    """
    low, high = float(outputs.min()), float(outputs.max())
    if low < -SLACK or high > 1 + SLACK:
        raise MetricError(
            f"received outputs of the model from {low:g} to {high:g} in the place of "
            "probabilities; expected 0 to 1. Its last activation is neither softmax nor sigmoid "
            "nor absent (the warning unknown-output): use metrics that ask for scores or maps, as "
            "mu-fidelity, or a model that ends in one of these"
        )


def _or_raise(made: Made) -> FloatArray:
    if isinstance(made, XaiError):
        raise made
    return made


def checked(
    study: "Study", pixels: FloatArray, least: float = -np.inf, most: float = np.inf
) -> FloatArray:
    """Pictures that may be asked about, (Q, H, W, C), as bytes of one dtype and layout.

    Raises:
        MetricError: they have another shape, or are not within those bounds.
    """
    made = study.input
    expected = (*made.size, made.channels)
    given: FloatArray = np.asarray(pixels)
    if given.ndim != 4 or given.shape[1:] != expected or given.dtype.kind not in "uif":
        raise MetricError(
            f"received pictures as {given.dtype} of shape {given.shape}; expected numbers of "
            f"shape (Q, {', '.join(map(str, expected))}), like the pixels of the trial"
        )
    if not np.isfinite(given).all():
        raise MetricError(
            "received pictures that hold NaN or infinity; expected finite values in 0..255"
        )
    if given.size and (given.min() < least or given.max() > most):
        raise MetricError(
            f"received pictures with values in {given.min():g}..{given.max():g}; expected 0..255, "
            "since methods are asked about pictures. Clip them first"
        )
    wide = np.float64 if made.dtype == "float64" else np.float32
    return np.ascontiguousarray(given, dtype=wide)


def _keys(given: FloatArray) -> list[bytes]:
    return [hashlib.blake2b(each.tobytes(), digest_size=16).digest() for each in given]


def at_input(raw: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """A map at the input's size, as it is drawn: bilinear, its edges on the picture's.

    Raises:
        MetricError: it is not finite, so its pixels have no order.
    """
    from xai_core.render import resize

    _finite(raw)
    height, width = size
    # As it is, where it has that size: drawing has less digits, and would make ties.
    return sealed(raw if raw.shape == (height, width) else resize(raw, height, width))


def _finite(raw: FloatArray) -> FloatArray:
    odd = int(np.count_nonzero(~np.isfinite(raw)))
    if odd:
        raise MetricError(
            f"{odd} of {raw.size} values of the map are NaN or infinite; expected finite ones, "
            "since its pixels have no order"
        )
    return raw


def sealed(array: FloatArray) -> FloatArray:
    """A copy that cannot be written into."""
    copied = array.copy()
    copied.flags.writeable = False
    return copied
