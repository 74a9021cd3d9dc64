"""What `scripts/bench`, `scripts/make_bench_model` and `scripts/build_peers` are made of."""
