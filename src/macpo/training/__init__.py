"""One iteration: collect, add, sample, update, sync; compiled, or with a pool of workers."""
