"""Detectors as files that other programs run: ONNX, OpenVINO, torch.export; checked against PyTorch, and quantised."""
