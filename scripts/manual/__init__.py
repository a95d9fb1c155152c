"""The documentation as tests see it: its pages, its blocks of commands, a shell that plays them."""
