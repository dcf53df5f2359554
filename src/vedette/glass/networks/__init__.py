"""The papers' figures of their networks, drawn from a model's own maps: a file for each that looks like no other."""
