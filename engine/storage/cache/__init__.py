"""The read cache in front of slow stores: which blocks stay (fifo), in memory, on disk, and the store around it."""
