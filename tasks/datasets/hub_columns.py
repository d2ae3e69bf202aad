"""Find the columns with images, captions, ids and splits by the features of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.contract import DataError
from tasks.datasets.caption_columns import choose_captions
from tasks.datasets.hub_name import HubName

#: Rows with the same id are one image with several captions. The last two are often of a row.
IDS = ("image_id", "img_id", "imgid", "cocoid", "filename", "file_name", "__key__", "id")
_BYTES = ("binary", "large_binary")
_NAMES = ("string", "large_string", "int64", "int32", "uint64", "uint32")


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns that are read."""

    image: str
    captions: tuple[str, ...]
    id: str | None
    split: str | None

    @property
    def texts(self) -> list[str]:
        """All columns but that of images."""
        return list(dict.fromkeys([*self.captions, *filter(None, (self.id, self.split))]))


def choose_columns(features: Mapping[str, Any], name: HubName) -> Columns:
    """Choose columns by the options of ``name``, or else by their types and usual names.

    Raises:
        DataError: if a column does not exist, or if several could be meant.
    """
    for option, value in (("image", name.image), ("id", name.id)):
        if value is not None and value not in features:
            known = ", ".join(features)[:200]
            raise DataError(f"{name.root} has no column {value!r}; choose {option}= of {known}")
    image = name.image or _find_image(features, name)
    if not _is_image(features[image]) and _type(features[image]) not in _BYTES:
        raise DataError(f"{name.root}: the column {image!r} has no images; change image=")
    texts = [column for column, feature in features.items() if _may_be_captions(feature)]
    image_id = name.id or next((c for c in IDS if _type(features.get(c)) in _NAMES), None)
    return Columns(
        image=image,
        captions=tuple(choose_captions(texts, name.captions, name.root)),
        id=image_id,
        split="split" if _type(features.get("split")) in _NAMES[:2] else None,
    )


def _find_image(features: Mapping[str, Any], name: HubName) -> str:
    found = [column for column, feature in features.items() if _is_image(feature)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(found or features)[:200]
    what = "images in several columns" if found else "no column of images"
    raise DataError(f"{name.root} has {what}; name it with ,image=COLUMN, of {known}")


def _is_image(feature: Any) -> bool:
    return type(feature).__name__ == "Image"


def _type(feature: Any) -> str:
    return str(getattr(feature, "dtype", "")) if type(feature).__name__ == "Value" else ""


def _may_be_captions(feature: Any) -> bool:
    if type(feature).__name__ == "Value":
        return _type(feature) in _NAMES[:2]
    return isinstance(feature, (dict, list)) or type(feature).__name__ in (
        *("List", "LargeList", "Sequence"),
    )
