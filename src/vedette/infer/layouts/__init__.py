"""Foreign checkpoints: one file a layout, each with `read(path) -> Checkpoint`."""

from vedette.infer.layouts import refinedet_caffe, refinedet_pytorch

READERS = {"refinedet.pytorch": refinedet_pytorch.read, "refinedet.caffe": refinedet_caffe.read}
