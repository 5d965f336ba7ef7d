"""The comparison behind `make bench`.

`__main__.py` is the command line and the order of the runs; `targets.py` starts the servers; `load.py` plays
one run with SIPp and says whether it is valid; `cpu.py` reads what a process has used; `memory.py` finds
bytes per binding and per transaction; `report.py` prints. `instructions.py` counts instructions per call
under callgrind and compares them with `budget.json`.
"""
