"""From pictures to detections: the detector with all that it needs, many files, several sizes."""
