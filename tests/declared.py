"""The project's own declaration, which tests of the engine take as an example of one."""

from notebook_pipeline import settings
from notebook_pipeline.declare.catalogue import read_declaration

PLAYER = read_declaration(settings.CHECKOUT / "datasets" / "player.py")
