"""Puts a trained weight file into the package, in half precision, with what `vedette evaluate --json` measured.

python tools/bundle_weights.py runs/lite0/best.safetensors --results voc12.json coco.json --data "VOC-7504, val"
"""

import argparse
import json
from pathlib import Path

from vedette.weights.files import save_weights
from vedette.zoo import restore

WEIGHTS = Path(__file__).parents[1] / "src/vedette/assets/weights"


def main() -> None:
    """Writes NAME.safetensors and NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--results", type=Path, nargs="+", required=True)
    parser.add_argument("--data", required=True, help="what the results were measured on, in words")
    arguments = parser.parse_args()
    model, stored = restore(arguments.source)
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    path = WEIGHTS / f"{stored.name}.safetensors"
    save_weights(
        path,
        model,
        name=stored.name,
        classes=stored.classes,
        category_ids=stored.category_ids,
        input_spec=stored.input_spec,
        half=True,
        extra=stored.extra,
    )
    measured = [json.loads(result.read_text()) for result in arguments.results]
    for one in measured:
        one["model"], one["data"] = stored.name, arguments.data  # not where they lay
    results = {f"{one['metric']} mAP": round(one["mAP"], 4) for one in measured}
    card = {"results": results, "measured": measured}
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
