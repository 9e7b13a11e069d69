"""What the programs `tools/bench_*.py` share, and the bare scripts they measure against."""
