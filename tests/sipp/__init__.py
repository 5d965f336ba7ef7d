"""SIPp on loopback: scenarios (`*.xml`) and the program that plays them (`sipp.py`), for tests and load
tests.

Users come from a file, one a line, as [field0]; keys are `domain`, and `contact` where users register.
"""
