"""One map: its scale, its place on the picture, its colours."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from xai_core.errors import UsageError
from xai_core.images import Picture, display_pixels
from xai_core.types import Explanation
from xai_core.typing import FloatArray

SEQUENTIAL = "inferno"
DIVERGING = "RdBu_r"
OPACITY = 0.8
_LUMA = np.asarray((0.299, 0.587, 0.114), np.float32)
_SMALLEST_LETTERS = 6.0
"""In pixels: what is smaller cannot be read."""
UNSEEN = 0.4
"""How bright the part is that the model did not see: colours of its own would look like heat."""
PERCENTILE = 99.5
"""What a scale ends at: a few extreme pixels of a gradient would leave the rest black."""

Sharing: TypeAlias = Literal["map", "row", "all"]
"""Which maps are shown on one scale: each on its own, those of a row, or all together."""


@dataclass(frozen=True)
class Scale:
    """The raw values that the ends of the colour map stand for.

    An unsigned map runs from 0 (from its lowest value, where that is below) to
    `high`; a signed one from `-high` to `high`, so that 0 is the middle colour.
    """

    low: float
    high: float
    signed: bool

    def __call__(self, raw: FloatArray) -> FloatArray:
        """Raw values to 0..1, for display alone; non-finite ones become NaN."""
        finite = np.where(np.isfinite(raw), raw, np.nan).astype(np.float32)
        if self.high <= self.low:
            return np.where(np.isnan(finite), finite, np.float32(self.middle))
        shown: FloatArray = np.clip((finite - self.low) / (self.high - self.low), 0, 1)
        return shown

    @property
    def middle(self) -> float:
        """Where on 0..1 a map that says nothing lies."""
        return 0.5 if self.signed else 0.0

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g}"


def common_scale(explanations: Iterable[Explanation]) -> Scale:
    """One scale for some maps: to the largest of their 99.5th percentiles."""
    raws = [(each.map[np.isfinite(each.map)], each.method.signed) for each in explanations]
    signed = any(is_signed for _, is_signed in raws)
    high = max((float(np.percentile(np.abs(r), PERCENTILE)) for r, _ in raws if r.size), default=0)
    if high == 0:
        high = max((float(np.abs(raw).max()) for raw, _ in raws if raw.size), default=0)
    lowest = min((float(raw.min()) for raw, _ in raws if raw.size), default=0)
    return Scale(-high if signed else min(0.0, lowest), high, signed)


def _row(explanation: Explanation) -> Hashable:
    return (explanation.model, explanation.picture, explanation.target)


_GROUP: MappingProxyType[str, Callable[[Explanation], Hashable]] = MappingProxyType(
    {"map": id, "row": _row, "all": lambda _: None}
)


def scales(explanations: Sequence[Explanation], sharing: Sharing) -> dict[int, Scale]:
    """The scale of each map, by its `id`.

    Args:
        explanations: The maps that are shown together.
        sharing: `map`, each on its own; `row`, those of one picture and class
            together; `all`, on one scale. The second and third compare raw values,
            which only mean the same for one method.
    """
    if sharing not in _GROUP:
        raise UsageError(f"received scale {sharing!r}; expected one of {', '.join(_GROUP)}")
    groups: dict[Hashable, list[Explanation]] = {}
    for each in explanations:
        groups.setdefault(_GROUP[sharing](each), []).append(each)
    return {id(each): scale for g in groups.values() for scale in [common_scale(g)] for each in g}


def resize(raw: FloatArray, height: int, width: int) -> FloatArray:
    """Resample a map bilinearly, with the map's edges on the picture's.

    Where the map is larger than the target it is averaged, not sampled.
    """
    image = Image.fromarray(np.ascontiguousarray(raw, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def on_picture(explanation: Explanation) -> FloatArray:
    """The raw map at the picture's own size (H, W), NaN where the model did not look."""
    region = explanation.region
    canvas = np.full(explanation.picture.pixels.shape[:2], np.nan, np.float32)
    rows = slice(region.top, region.top + region.height)
    columns = slice(region.left, region.left + region.width)
    canvas[rows, columns] = resize(explanation.map, region.height, region.width)
    return canvas


def overlay(
    explanation: Explanation,
    *,
    colour_map: str | None = None,
    opacity: float | None = None,
    scale: Scale | None = None,
) -> Image.Image:
    """The map over its picture, pixel for pixel. See `Explanation.overlay`."""
    shown = common_scale([explanation]) if scale is None else scale
    heat = shown(on_picture(explanation))
    return Image.fromarray(blend(explanation.picture, heat, shown, colour_map, opacity))


def caption(image: Image.Image, words: Sequence[str]) -> Image.Image:
    """Write words over the lower edge of a picture, as large as it allows; none leave it as is."""
    if not words:
        return image
    captioned = image.copy()
    draw = ImageDraw.Draw(captioned)
    size = max(8.0, image.width / 28)
    room = 0.94 * image.width
    for text in (", ".join(words), f"{len(words)} warnings: {words[0]}, ...", "!"):
        longest = draw.textlength(text, font=ImageFont.load_default(size))
        fitting = size * min(1.0, room / longest)
        if fitting >= _SMALLEST_LETTERS:
            break
    font = ImageFont.load_default(max(fitting, 1.0))
    _, top, _, bottom = draw.textbbox((0, 0), text, font=font)
    height = (bottom - top) * 1.6
    draw.rectangle((0, image.height - height, image.width, image.height), fill="black")
    draw.text((0.03 * image.width, image.height - height / 2), text, "white", font, anchor="lm")
    return captioned


def heatmap(explanation: Explanation, *, colour_map: str | None = None) -> Image.Image:
    """The map alone, a pixel for each of its places. See `Explanation.heatmap`."""
    scale = common_scale([explanation])
    name = colour_map or (DIVERGING if scale.signed else SEQUENTIAL)
    return Image.fromarray(np.rint(colour(scale(explanation.map), name)).astype(np.uint8))


def blend(
    picture: Picture,
    heat: FloatArray,
    scale: Scale,
    colour_map: str | None = None,
    opacity: float | None = None,
) -> NDArray[np.uint8]:
    """Colour a map and lay it over the picture in grey: then all colour is heat.

    A weighted mean, so nothing saturates. The weight grows with the heat, so the
    picture shows where there is nothing to say.

    Args:
        picture: At its own size (H, W).
        heat: (H, W) in 0..1, NaN where the model did not look.
        scale: Says where on 0..1 nothing lies.
        colour_map: A Matplotlib colour map.
        opacity: The weight where the heat is greatest, 0..1.
    """
    strength = OPACITY if opacity is None else opacity
    if not 0 <= strength <= 1:
        raise UsageError(f"received opacity {opacity}; expected 0 (picture) to 1 (map)")
    colours = colour(heat, colour_map or (DIVERGING if scale.signed else SEQUENTIAL))
    pixels = display_pixels(picture).astype(np.float32)
    grey = np.repeat((pixels @ _LUMA)[..., None], 3, axis=-1)
    base = np.where(np.isnan(heat)[..., None], UNSEEN * grey, grey)
    amount = np.nan_to_num(np.abs(heat - scale.middle)) / (1 - scale.middle)
    alpha = strength * np.sqrt(amount)[..., None]
    blended: NDArray[np.uint8] = np.rint((1 - alpha) * base + alpha * colours).astype(np.uint8)
    return blended


def colour(heat: FloatArray, name: str) -> FloatArray:
    """Values 0..1 (H, W) to RGB 0..255 (H, W, 3)."""
    try:
        table = matplotlib.colormaps[name]
    except KeyError:
        raise UsageError(
            f"no colour map is called {name!r}; expected one of Matplotlib's, such as inferno, "
            "viridis, cividis, jet, or RdBu_r for signed maps"
        ) from None
    rgba: FloatArray = np.asarray(table(np.nan_to_num(heat)))
    return 255 * rgba[..., :3].astype(np.float32)
