"""`--masks` and `--boxes`: where the object is, by picture."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xai_core.errors import UsageError

if TYPE_CHECKING:
    from xai_core.masks import Box, MaskLike

_COLUMNS = ("picture", "left", "top", "right", "bottom")


def masks_of(
    pictures: Sequence[str], folder: str | None, boxes: str | None
) -> "list[MaskLike] | None":
    """One for each picture, None where there is none; None where none was asked for.

    Raises:
        UsageError: both were given, or what was given cannot be read or is of no picture.
    """
    if folder is not None and boxes is not None:
        raise UsageError("received --masks and --boxes; expected one of them")
    if folder is not None:
        return _in_folder(pictures, Path(folder))
    if boxes is not None:
        return _in_file(pictures, Path(boxes))
    return None


def _in_folder(pictures: Sequence[str], folder: Path) -> "list[MaskLike]":
    if not folder.is_dir():
        raise UsageError(
            f"received --masks {str(folder)!r}, which is no folder; expected one with a mask of "
            "the same name as each picture, ending in .png"
        )
    paths = [folder / f"{Path(each).stem}.png" for each in pictures]
    found: list[MaskLike] = [each if each.exists() else None for each in paths]
    if not any(found):
        raise UsageError(
            f"received --masks {str(folder)!r}, where no picture has a mask; expected "
            f"{paths[0].name} for {Path(pictures[0]).name}, and so on"
        )
    return found


def _in_file(pictures: Sequence[str], file: Path) -> "list[MaskLike]":
    rows = list(_rows(file))
    found: list[MaskLike] = []
    for picture in pictures:
        parts = Path(picture).parts
        boxes = tuple(box for name, box in rows if name == parts[-len(name) :])
        found.append(boxes or None)
    if not any(found):
        raise UsageError(
            f"received --boxes {str(file)!r}, where no picture has a row; expected "
            f"{Path(pictures[0]).name} in the column picture, and so on"
        )
    return found


def _rows(file: Path) -> "Iterator[tuple[tuple[str, ...], Box]]":
    """The parts of each picture's path, and its box."""
    told = f"received --boxes {str(file)!r}"
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            read = csv.DictReader(lines)
            missing = [each for each in _COLUMNS if each not in (read.fieldnames or ())]
            if missing:
                raise UsageError(
                    f"{told}, whose first line lacks {', '.join(missing)}; expected "
                    f"{','.join(_COLUMNS)}"
                )
            for row in read:
                yield Path(row["picture"] or "").parts, _box(row, f"{told}, line {read.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{told}, which cannot be read ({error}); expected a CSV file in UTF-8 that begins "
            f"with {','.join(_COLUMNS)}"
        ) from error


def _box(row: "Mapping[str, str | None]", told: str) -> "Box":
    from xai_core.masks import Box

    try:
        return Box(*(int(row[each] or "") for each in _COLUMNS[1:]))
    except ValueError:
        given = ",".join(str(row[each] or "") for each in _COLUMNS[1:])
        raise UsageError(
            f"{told}: left,top,right,bottom are {given!r}; expected four whole numbers, the "
            "picture's pixels"
        ) from None
    except UsageError as error:
        raise UsageError(f"{told}: {error}") from None
