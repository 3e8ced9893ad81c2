"""Speed beside the peers: contestants do the same work in turn, each in a process of its own."""
