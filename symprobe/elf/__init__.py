"""Bytes to values: the ELF format, without policy, searching or environment."""
