"""Foreign checkpoints: one file a layout, each with `read(path) -> Checkpoint`."""

from vedette.infer.layouts import m2det, refinedet_caffe, refinedet_pytorch

READERS = {
    "refinedet.pytorch": refinedet_pytorch.read,
    "refinedet.caffe": refinedet_caffe.read,
    "m2det": m2det.read,
}
