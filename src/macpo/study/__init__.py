"""Studies: many experiments, each with the same seeds, carried out here or on a cluster."""
