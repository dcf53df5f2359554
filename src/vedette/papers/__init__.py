"""One file a detector, each to be read beside its paper."""
