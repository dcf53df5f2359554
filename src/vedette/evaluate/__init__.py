"""Measuring detectors: VOC and COCO average precision, the loop that runs a model over a data set, the report."""
