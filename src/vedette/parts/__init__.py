"""What several papers share: anchors, box coder, matching, sampling, losses, prediction heads, the way to detections."""
