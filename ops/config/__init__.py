"""The configuration: a TOML file and the environment become one checked `Settings`, or a list of problems.

`options` lists what exists (from the typed settings), `source` finds the line of a key, `load` reads file and
environment and collects every problem, `checks` holds the rules between options, `reference` writes the page.

Words: section, option, origin (default, `file:line` or an environment variable), problem.
"""
