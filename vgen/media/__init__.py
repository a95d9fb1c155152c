"""ffmpeg and ffprobe: find them, judge clips, draw posters, conform and join. Knows no money and no provider."""
