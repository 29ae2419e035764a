"""`python -m verify`: symprobe's answers beside those of readelf, nm and the dynamic loader, on
every ELF file of this machine or of a collection; docs/verification.md tells what came of it."""
