"""Foreign checkpoints: one file a layout, each with a function that turns a file's tensors into a `Checkpoint`."""
