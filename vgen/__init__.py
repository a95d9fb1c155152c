"""vgen: Make for AI video. See ARCHITECTURE.md for the map; the layers are in tests/test_layers.py."""

__version__ = "0.1.0"
