"""Foreign checkpoints: one file a layout, each with `read(path) -> Checkpoint`."""

from vedette.weights.layouts import detectron2, m2det, mmdet, refinedet_caffe, refinedet_pytorch, ssd_ports, torchvision

READERS = {
    "refinedet.pytorch": refinedet_pytorch.read,
    "refinedet.caffe": refinedet_caffe.read,
    "torchvision": torchvision.read,
    "ssd.pytorch": ssd_ports.read_ssd_pytorch,
    "lufficc": ssd_ports.read_lufficc,
    "m2det": m2det.read,
    "detectron2": detectron2.read,
    "mmdet": mmdet.read,
}
