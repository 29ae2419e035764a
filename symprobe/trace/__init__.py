"""Probe targets -> numbers: the kernel's features, the BPF program, probes, the command."""
