"""The SVMs of R-CNN and SPPNet beside the softmax of the same network: R-CNN, appendix B, on one's own data.

    python benchmarks/scorers.py WEIGHTS … --data PATH:SPLIT [--without-regression]

Weights of `vedette train rcnn-…` or `sppnet-…` hold both. Prints VOC's average precision (area under the curve) of all
classes and of each, in per cent, as Markdown. Proposals and regression of boxes are the same for both.
"""

import argparse
from pathlib import Path
from typing import Any

import vedette
from vedette.data.read import read_datasets
from vedette.evaluate.measure import measure_classes, truths_for
from vedette.evaluate.run import evaluate_model
from vedette.infer.multiscale import plan_passes

SCORERS = ("svm", "softmax")


def average_precisions(weights: Path, data: str, scorer: str, regress: bool) -> dict[str, float]:
    """mAP and the AP of each class, as fractions."""
    detector = vedette.load(weights, device="cpu", scorer=scorer, regress=regress)
    model: Any = detector.model
    classes = detector.classes or ()
    dataset = read_datasets([data], "evaluate")
    found = evaluate_model(model, dataset, plan_passes(detector.input_spec, batch_size=4), bf16=True)
    return measure_classes(found, truths_for(dataset, classes), classes)


def main() -> None:
    """Prints a line for each file and scorer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--without-regression", action="store_true")
    arguments = parser.parse_args()
    for number, weights in enumerate(arguments.weights):
        for scorer in SCORERS:
            measured = average_precisions(weights, arguments.data, scorer, not arguments.without_regression)
            if not number and scorer == SCORERS[0]:
                print(f"| | {' | '.join(name.removeprefix('AP/') for name in measured)} |")
                print("|---" * (len(measured) + 1) + "|")
            cells = " | ".join(f"{100 * value:.1f}" for value in measured.values())
            print(f"| {weights}, {scorer} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
