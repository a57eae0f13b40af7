"""Parses a list of CEF lines in JSON on standard input, and prints their fields as a list of objects in JSON."""
import json
import sys

import pycef

print(json.dumps([pycef.parse(line) for line in json.load(sys.stdin)]))
