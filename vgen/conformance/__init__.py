"""Whether a protocol keeps the money rules: `python -m vgen.conformance NAME`, for vgen's own and for plug-ins'."""
