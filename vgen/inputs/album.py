"""The pictures of a whole shot list, each looked at once, however many shots are made from it. Opens files."""

from pathlib import Path

from vgen.errors import InputError
from vgen.inputs import images
from vgen.inputs.images import Seen
from vgen.inputs.pictures import Source, Url
from vgen.inputs.shots import Shot
from vgen.pictures import FRAMES, Pictures


class Album:
    """What is known of pictures; a new one is made whenever the shot list is read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[Source, Seen] = {}
        self._whole: dict[Source, str] = {}
        """What is wrong with the rest of a picture; "" if it is good."""

    def look(self, shot: Shot) -> Pictures[Seen]:
        """A shot's pictures. Raises InputError, with a line for each that can't be used, beginning with its key."""
        problems: list[str] = []

        def one(name: str, source: Source) -> Seen:
            if shot.image_fit and name in FRAMES and isinstance(source, Url):
                problems.append(f"{name}: image_fit can't {shot.image_fit} a picture on the web; save it as a file")
            try:
                if source not in self._seen:
                    self._seen[source] = images.look(self._root, source)
                return self._seen[source]
            except InputError as exc:
                problems.extend(f"{name}: {problem}" for problem in exc.problems)
                return Seen(identity="")

        seen = shot.pictures.map(one)
        if problems:
            raise InputError(problems)
        return seen

    def broken(self, shot: Shot) -> list[str]:
        """What is wrong with pictures of a shot that begin well and are cut off or damaged, a line each."""
        problems: list[str] = []
        for name, source in shot.pictures.named():
            if source not in self._whole:
                try:
                    images.refuse_broken(self._root, source)
                    self._whole[source] = ""
                except InputError as exc:
                    self._whole[source] = str(exc)
            if problem := self._whole[source]:
                problems.append(f"shot {shot.number}: {name}: {problem}")
        return problems
