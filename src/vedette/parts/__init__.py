"""What several papers share: anchors, box coder, matching, sampling, losses, heads, the way to detections."""
