"""Networks that turn images into maps at several strides."""
