"""Pure tensor functions: boxes, overlap, suppression, pictures to tensors."""
