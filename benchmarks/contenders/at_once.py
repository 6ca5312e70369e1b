"""Run several commands at the same time: at_once COMMANDS, a JSON list of lists."""

import json
import subprocess
import sys

started = [subprocess.Popen(command) for command in json.loads(sys.argv[1])]
sys.exit(max(process.wait() for process in started))
