"""Our weight files, ImageNet's, and the layouts of other people's checkpoints."""
