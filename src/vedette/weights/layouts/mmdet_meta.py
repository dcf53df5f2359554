"""What mmdetection's checkpoints say beside their weights: by which version they were written, and of which classes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

Meta = Mapping[str, Any]


def meta_of(content: Any) -> Meta:
    """The table of a file's content; empty without one."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


def version_of(meta: Meta) -> int | None:
    """The first number of the version; None where the file does not say."""
    first = str(meta.get("mmdet_version")).partition(".")[0]
    return int(first) if first in ("0", "1", "2", "3") else None


def classes_of(meta: Meta, count: int) -> tuple[str, ...] | None:
    """The names of so many classes, all different; None where the file has none such."""
    data = meta.get("dataset_meta")
    for table, key in ((data, "classes"), (data, "CLASSES"), (meta, "CLASSES")):
        names = table.get(key) if isinstance(table, Mapping) else None
        if isinstance(names, tuple | list) and all(isinstance(name, str) and name.isprintable() for name in names):
            return tuple(names) if len(names) == len(set(names)) == count else None
    return None


def without_averages(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the copies that its second version keeps beside an average: ema_backbone_conv1_weight."""
    return {n: t for n, t in weights.items() if not (n.startswith("ema_") and "." not in n)}
