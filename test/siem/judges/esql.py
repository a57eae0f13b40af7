"""Parses the ES|QL on standard input by Elasticsearch's own grammar, and prints what is wrong as a list in JSON."""
import json
import sys

from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from esql_parser.EsqlBaseLexer import EsqlBaseLexer
from esql_parser.EsqlBaseParser import EsqlBaseParser


class Problems(ErrorListener):
    def __init__(self):
        self.found = []

    def syntaxError(self, recognizer, symbol, line, column, message, error):
        self.found.append(f"{line}:{column} {message}")


problems = Problems()
lexer = EsqlBaseLexer(InputStream(sys.stdin.read()))
parser = EsqlBaseParser(CommonTokenStream(lexer))
for each in (lexer, parser):
    each.removeErrorListeners()
    each.addErrorListener(problems)
parser.singleStatement()
print(json.dumps(problems.found))
