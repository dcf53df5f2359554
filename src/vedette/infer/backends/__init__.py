"""Exported files run by what they are for: ONNX Runtime, OpenVINO, torch.export."""
