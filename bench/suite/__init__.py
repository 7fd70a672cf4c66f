"""What all benchmarks share: contract, peers, rounds, report."""
