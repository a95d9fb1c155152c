"""vgen: Make for AI video. See ARCHITECTURE.md for the map; the import contracts are in pyproject.toml."""

__version__ = "0.1.0"
