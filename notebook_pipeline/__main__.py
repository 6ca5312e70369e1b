"""Run the command line by `python -m notebook_pipeline`."""

from notebook_pipeline.commands.main import program

if __name__ == "__main__":
    program()
