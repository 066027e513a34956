"""Runs with programs that other people wrote: ./test --peers."""
