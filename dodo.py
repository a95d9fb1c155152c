"""The tasks of this film, from vgen: `vgen help vgen` shows them. You can add doit tasks of your own below."""

from vgen.film import tasks

globals().update(tasks(__file__))
